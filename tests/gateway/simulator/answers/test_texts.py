import base64
import json

import pytest

from tests.gateway.simulator.answers.answering import events, parts_of, text


@pytest.mark.parametrize("said", ["hello", "a b  c\nd", "你好，世界。 ok", "ünï 😀 cödé"])
def test_echo_echoes_every_sign(said):
    assert text(f"echo {said}") == said


def test_a_story_has_as_many_chunks_as_asked_for():
    pieces = [parts_of(event)[0]["text"] for event in events("A story of 5 chunks of 40 bytes")]
    assert [len(piece) for piece in pieces] == [40] * 5
    assert pieces[4].startswith("Chunk 5 of the story.")


def test_the_model_says_in_chinese_who_it_is():
    assert text("你是什么模型") == "我是 gemini-2.5-flash，这是模拟的回答。"


def test_media_are_described():
    png = base64.b64encode(bytes(68)).decode()
    picture = {"inlineData": {"mimeType": "image/png", "data": png}}
    film = {"fileData": {"fileUri": "https://youtu.be/a"}}
    answer = text("What?", parts=[picture, film])
    assert answer == "I see an image/png of 68 bytes and the file https://youtu.be/a."


def test_any_other_question_is_repeated():
    assert text("Why?") == "gemini-2.5-flash (simulated) was asked: Why?"


def test_json_fits_the_schema_asked_for():
    config = {"responseMimeType": "application/json"}
    assert json.loads(text("what", generationConfig=config)) == {"answer": "what"}
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 7}}}
    config["responseJsonSchema"] = schema
    assert json.loads(text("what", generationConfig=config)) == {"n": 7}
    config = {
        "responseMimeType": "text/x.enum",
        "responseSchema": {"type": "STRING", "enum": ["A"]},
    }
    assert text("which", generationConfig=config) == "A"
