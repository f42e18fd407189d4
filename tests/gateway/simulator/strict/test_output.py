import pytest

from tests.gateway.simulator.strict.asking import configured

FLASH, IMAGE, LITE_IMAGE, TTS = (
    "gemini-2.5-flash",
    "gemini-2.5-flash-image",
    "gemini-3.1-flash-lite-image",
    "gemini-3.8-flash-tts",
)
KORE = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
PAIR = [{"speaker": name, **KORE} for name in "AB"]


@pytest.mark.parametrize(
    ("model", "config", "said"),
    [
        (FLASH, {"responseMimeType": "application/pdf"}, "allowed mimetypes are"),
        (FLASH, {"responseSchema": {"type": "STRING"}}, "only allowed with a response_mime_type"),
        (
            FLASH,
            {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "STRING"},
                "responseJsonSchema": {"type": "string"},
            },
            "Only one of",
        ),
        (FLASH, {"responseModalities": ["AUDIO"]}, "combination of response modalities (AUDIO)"),
        (FLASH, {"imageConfig": {"aspectRatio": "1:1"}}, "Image config is not enabled"),
        (FLASH, {"speechConfig": KORE}, "Speech config is not enabled"),
        (IMAGE, {"responseMimeType": "application/json"}, "JSON mode is not enabled"),
        (IMAGE, {"imageConfig": {"imageSize": "1K"}}, "image_size is not supported"),
        (IMAGE, {"imageConfig": {"aspectRatio": "1:8"}}, "aspect_ratio must be one of"),
        (LITE_IMAGE, {"imageConfig": {"imageSize": "2K"}}, "image_size '2K' is not supported"),
        ("gemini-3-pro-image", {"imageConfig": {"imageSize": "2k"}}, "image_size '2k'"),
        ("gemini-3-pro-image", {"imageConfig": {"imageSize": "512"}}, "image_size '512'"),
        (TTS, {}, "combination of response modalities (TEXT)"),
        (TTS, {"responseModalities": ["AUDIO", "TEXT"]}, "combination of response modalities"),
        (
            TTS,
            {
                "responseModalities": ["AUDIO"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "nova"}}},
            },
            "Voice name nova is not supported",
        ),
        (
            TTS,
            {
                "responseModalities": ["AUDIO"],
                "speechConfig": {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": PAIR[:1]}},
            },
            "must equal 2",
        ),
        (
            TTS,
            {
                "responseModalities": ["AUDIO"],
                "speechConfig": {
                    **KORE, "multiSpeakerVoiceConfig": {"speakerVoiceConfigs": PAIR},
                },
            },
            "mutually exclusive",
        ),
    ],
)  # fmt: skip
def test_what_a_model_cannot_say_is_refused(model, config, said):
    assert said in configured(model, **config)


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (FLASH, {"responseMimeType": "application/json"}),
        (FLASH, {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON"}}}),
        (FLASH, {"responseModalities": ["TEXT"]}),
        (IMAGE, {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}}),
        ("gemini-3.1-flash-image", {"imageConfig": {"aspectRatio": "8:1", "imageSize": "512"}}),
        (LITE_IMAGE, {"imageConfig": {"imageSize": "1K"}}),
        (TTS, {"responseModalities": ["AUDIO"], "speechConfig": KORE}),
        (
            TTS,
            {
                "responseModalities": ["AUDIO"],
                "speechConfig": {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": PAIR}},
            },
        ),
    ],
)
def test_what_a_model_can_say_is_accepted(model, config):
    assert configured(model, **config) is None
