"""The forms of an answer: its mime type, modalities, images and voices."""

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal

VOICES = frozenset(
    [
        "zephyr",
        "puck",
        "charon",
        "kore",
        "fenrir",
        "leda",
        "orus",
        "aoede",
        "callirrhoe",
        "autonoe",
        "enceladus",
        "iapetus",
        "umbriel",
        "algieba",
        "despina",
        "erinome",
        "algenib",
        "rasalgethi",
        "laomedeia",
        "achernar",
        "alnilam",
        "schedar",
        "gacrux",
        "pulcherrima",
        "achird",
        "zubenelgenubi",
        "vindemiatrix",
        "sadachbia",
        "sadaltager",
        "sulafat",
    ]
)
_MIMES = ("text/plain", "application/json", "application/xml", "application/yaml", "text/x.enum")
_RATIOS = frozenset(["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"])
_LONG_RATIOS = frozenset(["1:4", "4:1", "1:8", "8:1"])
_SIZES = frozenset({"512", "1K", "2K", "4K"})


def check(request: Json, model: Model) -> None:
    """Refuse a form of answer that *model* cannot produce."""
    config = request.get("generationConfig") or {}
    _check_mime(config, model)
    _check_modalities(config, model)
    _check_image(config.get("imageConfig"), model)
    _check_speech(config.get("speechConfig"), model)


def wants_json(request: Json) -> bool:
    """Tell whether JSON was requested."""
    config = request.get("generationConfig") or {}
    text = (config.get("responseFormat") or {}).get("text") or {}
    return (
        config.get("responseMimeType") == "application/json"
        or text.get("mimeType") == "APPLICATION_JSON"
    )


def _check_mime(config: Json, model: Model) -> None:
    mime = config.get("responseMimeType") or "text/plain"
    if mime not in _MIMES:
        raise Refusal(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are"
            f" {', '.join(f'`{name}`' for name in _MIMES)}.\n"
        )
    if mime == "application/json" and "json" in model.refuses:
        raise Refusal(f"JSON mode is not enabled for models/{model.name}")
    schemas = [
        n for n in ("responseSchema", "responseJsonSchema", "_responseJsonSchema") if n in config
    ]
    if len(schemas) > 1:
        raise Refusal("Only one of response_schema and response_json_schema may be set.")
    if schemas and mime not in {"application/json", "text/x.enum"}:
        raise Refusal(
            "* GenerateContentRequest.generation_config.response_schema: only allowed with a"
            " response_mime_type of application/json or text/x.enum\n"
        )


def _check_modalities(config: Json, model: Model) -> None:
    requested = set(config.get("responseModalities") or ())
    if model.kind == "tts" and not requested:
        requested = {"TEXT"}
    if not requested <= model.outputs:
        raise Refusal(
            f"The requested combination of response modalities ({', '.join(sorted(requested))}) is"
            f" not supported by the model. models/{model.name} accepts the following combination of"
            f" response modalities:\n* {', '.join(sorted(model.outputs))}\n"
        )


def _check_image(config: Json | None, model: Model) -> None:
    if not config:
        return
    if model.kind not in {"image", "video"}:
        raise Refusal(f"Image config is not enabled for models/{model.name}")
    ratio, size = config.get("aspectRatio"), config.get("imageSize")
    ratios = _RATIOS if "long_ratios" in model.refuses else _RATIOS | _LONG_RATIOS
    if ratio is not None and ratio not in ratios:
        raise Refusal(f"aspect_ratio must be one of {', '.join(sorted(ratios))}.")
    if size is None:
        return
    if "image_size" in model.refuses:
        raise Refusal(f"image_size is not supported for models/{model.name}")
    if (
        size not in _SIZES
        or ("large_images" in model.refuses and size != "1K")
        or (size == "512" and model.name != "gemini-3.1-flash-image")
    ):
        raise Refusal(f"image_size {size!r} is not supported for models/{model.name}")


def _check_speech(config: Json | None, model: Model) -> None:
    if not config:
        return
    if model.kind != "tts":
        raise Refusal(f"Speech config is not enabled for models/{model.name}")
    several = config.get("multiSpeakerVoiceConfig")
    if several and config.get("voiceConfig"):
        raise Refusal("voice_config and multi_speaker_voice_config are mutually exclusive fields.")
    speakers = (several or {}).get("speakerVoiceConfigs") or []
    if several and len(speakers) != 2:
        raise Refusal("The number of enabled_voices must equal 2.")
    for speaker in [config, *speakers]:
        prebuilt = (speaker.get("voiceConfig") or {}).get("prebuiltVoiceConfig") or {}
        name = prebuilt.get("voiceName", "kore")
        if name.lower() not in VOICES:
            raise Refusal(
                f"Voice name {name} is not supported. Allowed voice names are: "
                + ", ".join(sorted(VOICES))
            )
