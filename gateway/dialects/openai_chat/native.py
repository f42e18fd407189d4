"""Gemini's own fields as clients send them: snake_case or camelCase, known ones only.

Only known names are sent: a single unknown one makes Gemini refuse the whole request. The shapes
are those of the API's discovery document of 2026-09. In a shape, a type stands for itself, a set of
strings for an enumeration, a dict for an object, a list for an array, ANY for anything.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.shapes import MAX_INT32
from gateway.errors import BadRequest
from gateway.exchange import Json, Notes
from gateway.safety import CATEGORIES, THRESHOLDS

ANY = object
Shape = Any

# Nothing of Gemini's that is read here has as many fields or items, or so long a name. Reading
# millions of them would hold everybody else up.
MAX_ENTRIES = 512
_MAX_NAME = 64

_UNDERSCORE = re.compile(r"_([a-z0-9])")
_TYPES = {str: "a string", bool: "a boolean", int: "an integer", float: "a number"}

_RESOLUTIONS = frozenset(
    {
        "MEDIA_RESOLUTION_UNSPECIFIED",
        "MEDIA_RESOLUTION_LOW",
        "MEDIA_RESOLUTION_MEDIUM",
        "MEDIA_RESOLUTION_HIGH",
    }
)
VIDEO_METADATA: Shape = {"startOffset": str, "endOffset": str, "fps": float}
MEDIA_PROCESSING = frozenset({"MEDIA_PROCESSING_UNSPECIFIED", "STATIC", "AGENTIC"})
SAFETY_SETTINGS: Shape = [{"category": CATEGORIES, "threshold": THRESHOLDS}]
THINKING_CONFIG: Shape = {
    "includeThoughts": bool,
    "thinkingBudget": int,
    "thinkingLevel": str,
}
IMAGE_CONFIG: Shape = {"aspectRatio": str, "imageSize": str}
_VOICE: Shape = {"prebuiltVoiceConfig": {"voiceName": str}}
SPEECH_CONFIG: Shape = {
    "languageCode": str,
    "voiceConfig": _VOICE,
    "multiSpeakerVoiceConfig": {"speakerVoiceConfigs": [{"speaker": str, "voiceConfig": _VOICE}]},
}
FUNCTION_CALLING: Shape = {
    "mode": frozenset({"AUTO", "ANY", "NONE", "VALIDATED"}),
    "allowedFunctionNames": [str],
}
RETRIEVAL_CONFIG: Shape = {
    "languageCode": str,
    "latLng": {"latitude": float, "longitude": float},
}
_SEARCH: Shape = {
    "searchTypes": {"webSearch": {}, "imageSearch": {}},
    "timeRangeFilter": {"startTime": str, "endTime": str},
}
BUILTINS: Mapping[str, Shape] = {
    "codeExecution": {},
    "googleSearch": _SEARCH,
    "urlContext": {},
    "googleMaps": {"enableWidget": bool},
    "fileSearch": {"fileSearchStoreNames": [str], "topK": int, "metadataFilter": str},
    "computerUse": {
        "environment": str,
        "excludedPredefinedFunctions": [str],
        "disabledSafetyPolicies": [str],
        "enablePromptInjectionDetection": bool,
    },
}
MCP_SERVERS: Shape = [
    {
        "name": str,
        "streamableHttpTransport": {
            "url": str,
            "headers": ANY,
            "timeout": str,
            "sseReadTimeout": str,
            "terminateOnClose": bool,
        },
    }
]
_RESPONSE_FORMAT: Shape = {
    "text": {"mimeType": str, "schema": ANY},
    "image": {"mimeType": str, "delivery": str, "aspectRatio": str, "imageSize": str},
    "audio": {"mimeType": str, "delivery": str, "sampleRate": int, "bitRate": int},
}
_AUDIO_TRANSCRIPTION: Shape = {
    "adaptationPhrases": [str],
    "customVocabulary": [str],
    "diarization": bool,
    "languageAuto": {},
    "languageCodes": [str],
    "languageHints": {"languageCodes": [str]},
    "mode": str,
    "wordTimestamp": bool,
}
GENERATION_CONFIG: Mapping[str, Shape] = {
    "temperature": float,
    "topP": float,
    "topK": int,
    "candidateCount": int,
    "maxOutputTokens": int,
    "stopSequences": [str],
    "seed": int,
    "presencePenalty": float,
    "frequencyPenalty": float,
    "responseLogprobs": bool,
    "logprobs": int,
    "responseMimeType": str,
    "responseSchema": ANY,
    "responseJsonSchema": ANY,
    "responseModalities": [frozenset({"TEXT", "IMAGE", "AUDIO", "VIDEO"})],
    "mediaResolution": _RESOLUTIONS,
    "thinkingConfig": THINKING_CONFIG,
    "imageConfig": IMAGE_CONFIG,
    "speechConfig": SPEECH_CONFIG,
    "responseFormat": _RESPONSE_FORMAT,
    "audioTranscriptionConfig": _AUDIO_TRANSCRIPTION,
    "translationConfig": {"targetLanguageCode": str, "echoTargetLanguage": bool},
    "enableAffectiveDialog": bool,
    "enableEnhancedCivicAnswers": bool,
}


# Groups whose fields clients may send without the group.
_GROUPS = frozenset({"generationConfig", "toolConfig"})


def google(payload: Json) -> Json:
    """Return the native fields in Gemini's spelling; null means unset.

    Those of `generation_config` and `tool_config` are included, and overridden by other fields
    beside them; all of `extra_body` are overridden by those at the top of the payload. Raises
    `BadRequest` for settings of a wrong type.
    """
    if payload.get("google") is None and payload.get("extra_body") is None:
        return {}
    return {camel(name): value for name, value in _given(payload)}


def overridden(payload: Json, fields: Json) -> list[str]:
    """Return the paths of the native fields that are not among *fields*, which the others made."""
    return [f"google.{name}" for name, value in _given(payload) if fields[camel(name)] != value]


def _given(payload: Json) -> Iterator[tuple[str, Any]]:
    """Yield each native field that is set, in the client's spelling; later ones override."""
    for holder in ((payload.get("extra_body") or {}).get("google"), payload.get("google")):
        given = holder or {}
        check_size(given, "google")
        for name, value in sorted(given.items(), key=lambda field: camel(field[0]) not in _GROUPS):
            if value is None:
                continue
            if camel(name) not in _GROUPS:
                yield name, value
            elif isinstance(value, dict):
                check_size(value, f"google.{name}")
                yield from ((name, inner) for name, inner in value.items() if inner is not None)
            else:
                raise _wrong(f"google.{name}", "an object")


def camel(name: str) -> str:
    """Return *name* in Gemini's own spelling."""
    if "_" not in name or len(name) > _MAX_NAME:
        return name
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def fit(value: Any, shape: Shape, path: str, notes: Notes) -> Any:
    """Return *value* in the form of *shape*; unknown fields in it are left out and noted.

    Raises `BadRequest` naming the place within *path* whose type or value is wrong.
    """
    if shape is ANY:
        return value
    if isinstance(shape, Mapping):
        return _fit_object(value, shape, path, notes)
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong(path, "an array")
        check_size(value, path)
        return [fit(item, shape[0], f"{path}[{at}]", notes) for at, item in enumerate(value)]
    if isinstance(shape, frozenset):
        if not isinstance(value, str) or value.upper() not in shape:
            raise _wrong(path, "one of " + ", ".join(sorted(shape)))
        return value.upper()
    return _fit_plain(value, shape, path)


def _fit_object(value: Any, shape: Mapping[str, Shape], path: str, notes: Notes) -> Json:
    if not isinstance(value, dict):
        raise _wrong(path, "an object")
    check_size(value, path)
    fitted = {}
    for name, item in value.items():
        field_shape = shape.get(camel(name))
        if field_shape is None:
            notes.drop(f"{path}.{name}")
        elif item is not None:
            fitted[camel(name)] = fit(item, field_shape, f"{path}.{name}", notes)
    return fitted


def _fit_plain(value: Any, kind: type, path: str) -> Any:
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is int and isinstance(value, float) and value.is_integer():
        value, fits = int(value), True
    else:
        fits = type(value) is kind
    if not fits:
        raise _wrong(path, _TYPES[kind])
    if kind is int and abs(value) > MAX_INT32:
        raise BadRequest(
            f"This is out of range: expected an integer up to {MAX_INT32}.",
            param=path,
            code="invalid_value",
        )
    return value


def check_size(value: list[Any] | Json, path: str) -> None:
    """Refuse a *value* at *path* that has too many fields or items."""
    if len(value) > MAX_ENTRIES:
        raise BadRequest(
            f"This has {len(value)} entries; {MAX_ENTRIES} are allowed.",
            param=path,
            code="array_too_long" if isinstance(value, list) else "too_many_fields",
        )


def _wrong(path: str, wanted: str) -> BadRequest:
    return BadRequest(f"Expected {wanted}.", param=path, code="invalid_type")
