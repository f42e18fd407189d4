"""The requested kinds of output: modalities, voices, image settings."""

from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import BadRequest
from gateway.exchange import Json

_VOICES = [
    "Zephyr",
    "Puck",
    "Charon",
    "Kore",
    "Fenrir",
    "Leda",
    "Orus",
    "Aoede",
    "Callirrhoe",
    "Autonoe",
    "Enceladus",
    "Iapetus",
    "Umbriel",
    "Algieba",
    "Despina",
    "Erinome",
    "Algenib",
    "Rasalgethi",
    "Laomedeia",
    "Achernar",
    "Alnilam",
    "Schedar",
    "Gacrux",
    "Pulcherrima",
    "Achird",
    "Zubenelgenubi",
    "Vindemiatrix",
    "Sadachbia",
    "Sadaltager",
    "Sulafat",
]
_FIELDS = frozenset({"modalities", "audio", "image_config"})
# OpenAI's voices by the Gemini voices that sound most alike, as other gateways map them.
_BY_NAME = {
    **{voice.lower(): voice for voice in _VOICES},
    "alloy": "Kore",
    "ash": "Iapetus",
    "ballad": "Algieba",
    "cedar": "Achird",
    "coral": "Sulafat",
    "echo": "Charon",
    "fable": "Umbriel",
    "marin": "Despina",
    "nova": "Aoede",
    "onyx": "Orus",
    "sage": "Vindemiatrix",
    "shimmer": "Achernar",
    "verse": "Puck",
}


def put_into(config: Json, translation: Translation) -> None:
    """Put modalities, voice and image settings into *config*."""
    if translation.can.outputs == ("TEXT",) and not translation.has_any(_FIELDS):
        return
    modalities = _modalities(translation)
    if modalities:
        config["responseModalities"] = modalities
    if "AUDIO" in (modalities or ()):
        speech = _speech(translation)
        if speech:
            config["speechConfig"] = speech
    else:
        _note_unspoken(translation)
    image = _image(translation)
    if image:
        config["imageConfig"] = image


def _note_unspoken(translation: Translation) -> None:
    """Note the settings of a voice if nothing will be spoken."""
    if translation.payload.get("audio"):
        translation.note_drop("audio")
    if translation.google.get("speechConfig") is not None:
        translation.note_drop("google.speech_config")


def _modalities(translation: Translation) -> list[str] | None:
    """Return the modalities that the model can produce; None for plain text."""
    outputs = translation.can.outputs
    google = translation.google.get("responseModalities")
    modalities = [modality.upper() for modality in translation.payload.get("modalities") or ()]
    if google is not None:
        shape = native.GENERATION_CONFIG["responseModalities"]
        requested: list[str] = native.fit(
            google, shape, "google.response_modalities", translation.notes
        )
        field = "google.response_modalities"
        if modalities and {*modalities} != {*requested}:
            translation.notes.drop("modalities")
    else:
        requested, field = modalities, "modalities"
    if "VIDEO" in requested:
        # Only a native setting can name it, and Gemini itself refuses it for other models.
        return requested
    # A sound model speaks every text: requesting text as well requests the transcript.
    possible = [modality for modality in outputs if modality in requested] or list(outputs)
    refused = [
        modality
        for modality in requested
        if modality not in outputs and (modality != "TEXT" or requested == [modality])
    ]
    if refused:
        outcome = "+".join(possible).lower()
        translation.notes.adjust(field, outcome, "model")
    return None if outputs == ("TEXT",) else possible


def _speech(translation: Translation) -> Json | None:
    config = translation.google.get("speechConfig")
    voice = _voice_config(translation.payload.get("audio") or {})
    if config is None:
        return {"voiceConfig": voice} if voice else None
    speech: Json = native.fit(
        config, native.SPEECH_CONFIG, "google.speech_config", translation.notes
    )
    _name_voices(speech)
    several = speech.get("multiSpeakerVoiceConfig")
    if several and len(several.get("speakerVoiceConfigs") or ()) != 2:
        raise BadRequest(
            "Expected exactly two speakers.",
            param="google.speech_config.multi_speaker_voice_config",
            code="invalid_value",
        )
    if voice and not several:
        speech.setdefault("voiceConfig", voice)
    if voice and speech.get("voiceConfig") != voice:
        translation.notes.drop("audio.voice")
    return speech


def _voice_config(audio: Json) -> Json | None:
    """Return the voice that OpenAI's *audio* names; None if it names none."""
    voice = audio.get("voice")
    if isinstance(voice, dict):
        voice = voice.get("id")
    return {"prebuiltVoiceConfig": {"voiceName": _voice(voice)}} if voice else None


def _name_voices(speech: Json) -> None:
    several = (speech.get("multiSpeakerVoiceConfig") or {}).get("speakerVoiceConfigs") or ()
    for holder in (speech, *several):
        prebuilt = (holder.get("voiceConfig") or {}).get("prebuiltVoiceConfig") or {}
        if "voiceName" in prebuilt:
            prebuilt["voiceName"] = _voice(prebuilt["voiceName"])


def _voice(name: str) -> str:
    # An unknown voice may be a new one: Gemini decides.
    return _BY_NAME.get(name.lower(), name)


def _image(translation: Translation) -> Json | None:
    config: Any = translation.payload.get("image_config")
    path = "image_config"
    if translation.google.get("imageConfig") is not None:
        if config is not None and config != translation.google["imageConfig"]:
            translation.notes.drop(path)
        config, path = translation.google["imageConfig"], "google.image_config"
    if config is None:
        return None
    image: Json = native.fit(config, native.IMAGE_CONFIG, path, translation.notes)
    if "imageSize" in image:
        # Gemini accepts 1K but not 1k.
        image["imageSize"] = image["imageSize"].upper()
    if image and "IMAGE" not in translation.can.outputs:
        translation.note_drop(path)
        return None
    return image
