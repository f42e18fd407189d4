"""Modalities, voices, image settings."""

import pytest

from gateway.dialects.openai_chat.request.outputs import _BY_NAME, _VOICES
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, body

TTS, IMAGE = "gemini-2.5-flash-preview-tts", "gemini-2.5-flash-image"


def config(**fields):
    return body(**fields).get("generationConfig", {})


def voice(name):
    return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}


@pytest.mark.parametrize(
    ("name", "native"),
    [("alloy", "Kore"), ("puck", "Puck"), ({"id": "Zephyr"}, "Zephyr"), ("Brandnew", "Brandnew")],
)
def test_voices_go_by_openais_names_and_geminis(name, native):
    sent = config(model=TTS, modalities=["text", "audio"], audio={"voice": name, "format": "mp3"})
    assert sent == {"responseModalities": ["AUDIO"], "speechConfig": voice(native)}


def test_a_model_of_speech_speaks_without_being_told_so():
    assert config(model=TTS) == {"responseModalities": ["AUDIO"]}


def test_every_voice_is_one_of_geminis():
    assert len(_VOICES) == len(set(_VOICES)) == 30
    for name, native in _BY_NAME.items():
        assert native in _VOICES
        assert config(model=TTS, audio={"voice": name})["speechConfig"] == voice(native)
    openais = "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse"
    assert _BY_NAME.keys() >= {*openais.split(), *map(str.lower, _VOICES)}


def test_only_a_native_setting_asks_for_video():
    google = {"response_modalities": ["VIDEO"]}
    assert config(google=google) == {"responseModalities": ["VIDEO"]}


def speakers(count):
    return [
        {"speaker": f"S{n}", "voice_config": {"prebuilt_voice_config": {"voice_name": "echo"}}}
        for n in range(count)
    ]


def test_two_speakers_have_their_own_voices():
    speech = {"multi_speaker_voice_config": {"speaker_voice_configs": speakers(2)}}
    sent = config(model=TTS, google={"speech_config": speech})["speechConfig"]
    assert sent["multiSpeakerVoiceConfig"]["speakerVoiceConfigs"][1] == {
        "speaker": "S1",
        **voice("Charon"),
    }


def test_three_speakers_are_refused():
    speech = {"multi_speaker_voice_config": {"speaker_voice_configs": speakers(3)}}
    with pytest.raises(BadRequest) as caught:
        ask(model=TTS, google={"speech_config": speech})
    assert caught.value.param == "google.speech_config.multi_speaker_voice_config"


@pytest.mark.parametrize(
    ("speech", "sent", "dropped"),
    [
        ({"language_code": "de"}, {"languageCode": "de", **voice("Kore")}, []),
        (voice("alloy"), voice("Kore"), []),
        (voice("Puck"), voice("Puck"), ["audio.voice"]),
        (
            {"multi_speaker_voice_config": {"speaker_voice_configs": speakers(2)}},
            None,
            ["audio.voice"],
        ),
    ],
)
def test_openais_voice_counts_unless_native_settings_name_another(speech, sent, dropped):
    audio = {"voice": "alloy", "format": "wav"}
    call, notes = ask(model=TTS, audio=audio, google={"speech_config": speech})
    config = call.body["generationConfig"]["speechConfig"]
    assert config == sent or (sent is None and "voiceConfig" not in config)
    assert list(notes.dropped) == dropped


@pytest.mark.parametrize(("modalities", "dropped"), [(["text"], ["modalities"]), (["image"], [])])
def test_native_modalities_override_openais_and_that_is_noted(modalities, dropped):
    google = {"response_modalities": ["IMAGE"]}
    call, notes = ask(model=IMAGE, modalities=modalities, google=google)
    assert call.body["generationConfig"]["responseModalities"] == ["IMAGE"]
    assert list(notes.dropped) == dropped


def test_a_model_of_text_does_not_speak_which_is_noted():
    audio = {"voice": "alloy", "format": "wav"}
    speech = {"speech_config": voice("Puck")}
    call, notes = ask(modalities=["text", "audio"], audio=audio, google=speech)
    assert "generationConfig" not in call.body
    assert notes.adjusted == {
        "modalities": "text;reason=model",
        "audio": "dropped;reason=model",
        "google.speech_config": "dropped;reason=model",
    }


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, ["TEXT", "IMAGE"]),
        ({"modalities": ["image"]}, ["IMAGE"]),
        ({"google": {"response_modalities": ["IMAGE"]}}, ["IMAGE"]),
        ({"modalities": ["text"]}, ["TEXT"]),
    ],
)
def test_a_model_of_images_gives_what_is_asked(fields, sent):
    assert config(model=IMAGE, **fields).get("responseModalities") == sent


def test_the_shape_of_images_and_what_the_model_refuses_of_it():
    call, notes = ask(model=IMAGE, image_config={"aspect_ratio": "16:9", "image_size": "2k"})
    assert call.body["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9"}
    assert notes.adjusted == {"image_config.image_size": "dropped;reason=model"}
    sent = config(model="gemini-3-pro-image", google={"imageConfig": {"imageSize": "2k"}})
    assert sent["imageConfig"] == {"imageSize": "2K"}


def test_image_settings_do_not_go_to_a_model_of_text():
    call, notes = ask(image_config={"aspect_ratio": "1:1"})
    assert "generationConfig" not in call.body
    assert list(notes.adjusted) == ["image_config"]


def test_a_model_of_speech_takes_neither_instruction_nor_tools():
    call, notes = ask(
        model=TTS,
        messages=[
            {"role": "system", "content": "Cheerfully."},
            {"role": "user", "content": "Good day"},
        ],
        tools=[{"type": "function", "function": {"name": "f"}}, {"googleSearch": {}}],
    )
    assert call.body.keys() == {"contents", "generationConfig", "safetySettings"}
    assert call.body["contents"][0]["parts"][0] == {"text": "Cheerfully."}
    assert {"tools", "system"} <= notes.adjusted.keys()
    assert list(notes.dropped) == ["tools.googleSearch"]
