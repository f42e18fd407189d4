import base64
import io

from PIL import Image

from tests.gateway.simulator.answers.answering import answer, events, parts_of


def test_a_picture_is_a_valid_png_with_its_draft_and_its_signature():
    config = {"thinkingConfig": {"includeThoughts": True}, "responseModalities": ["TEXT", "IMAGE"]}
    thought, draft, said, drawn = parts_of(
        answer("a cat", "gemini-3.1-flash-image", generationConfig=config)
    )
    assert thought["thought"] is draft["thought"] is True
    assert "inlineData" in draft
    assert said["thoughtSignature"] == drawn["thoughtSignature"]
    with Image.open(io.BytesIO(base64.b64decode(drawn["inlineData"]["data"]))) as image:
        image.load()
        assert image.size == (8, 8)
    only = parts_of(
        answer(
            "2 images", "gemini-2.5-flash-image", generationConfig={"responseModalities": ["IMAGE"]}
        )
    )
    assert [list(part) for part in only] == [["inlineData"], ["inlineData"]]


def test_speech_is_pcm_as_long_as_the_text():
    config = {"responseModalities": ["AUDIO"]}
    (part,) = parts_of(answer("hello", "gemini-3.8-flash-tts", generationConfig=config))
    assert part["inlineData"]["mimeType"] == "audio/L16;codec=pcm;rate=24000"
    assert len(base64.b64decode(part["inlineData"]["data"])) == 5 * 480 * 2
    assert len(events("hello", "gemini-3.8-flash-tts", generationConfig=config)) == 3
