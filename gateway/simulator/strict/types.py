"""The message types of requests: each field by its camelCase name, with its type.

A scalar is one of "string", "bytes", "duration", "time", "int32", "int64", "float", "bool", "any",
"object"; a capitalised name is another message; `many`, `mapping` and `enum` build the rest.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """The type of one field: *type* once, in a list (*many*) or as values of a map (*keyed*)."""

    type: str
    many: bool = False
    keyed: bool = False
    values: frozenset[str] | None = None


def one(type_: str) -> Field:
    """Return a field that holds one *type_*."""
    return Field(type_)


def many(type_: str) -> Field:
    """Return a field that holds a list of *type_*."""
    return Field(type_, many=True)


def mapping(type_: str) -> Field:
    """Return a field that holds *type_* by name."""
    return Field(type_, keyed=True)


def enum(type_: str, values: str) -> Field:
    """Return a field that holds one of *values*, words; *type_* is its name in error messages."""
    return Field(type_, values=frozenset(values.split()))


def prefixed(prefix: str, words: str) -> str:
    """Return *words*, each with *prefix* before it."""
    return " ".join(f"{prefix}_{word}" for word in words.split())


def enums(type_: str, values: str) -> Field:
    """Return a field that holds a list of *values*, words."""
    return Field(type_, many=True, values=frozenset(values.split()))


def _scalars(type_: str, *names: str) -> dict[str, Field]:
    return {name: one(type_) for name in names}


_TOOL_TYPE = enum(
    "ToolType",
    "TOOL_TYPE_UNSPECIFIED GOOGLE_SEARCH_WEB GOOGLE_SEARCH_IMAGE"
    " URL_CONTEXT GOOGLE_MAPS FILE_SEARCH MEDIA_PROCESSING",
)
_TASK = enum(
    "TaskType",
    "TASK_TYPE_UNSPECIFIED RETRIEVAL_QUERY RETRIEVAL_DOCUMENT"
    " SEMANTIC_SIMILARITY CLASSIFICATION CLUSTERING QUESTION_ANSWERING"
    " FACT_VERIFICATION CODE_RETRIEVAL_QUERY",
)

REQUESTS: dict[str, dict[str, Field]] = {
    "GenerateContentRequest": {
        **_scalars("string", "model", "cachedContent", "continuationToken"),
        "contents": many("Content"),
        "systemInstruction": one("Content"),
        "tools": many("Tool"),
        "toolConfig": one("ToolConfig"),
        "safetySettings": many("SafetySetting"),
        "generationConfig": one("GenerationConfig"),
        "serviceTier": enum("ServiceTier", "UNSPECIFIED STANDARD FLEX PRIORITY"),
        "store": one("bool"),
        "labels": mapping("string"),
    },
    "CountTokensRequest": {
        "model": one("string"),
        "contents": many("Content"),
        "generateContentRequest": one("GenerateContentRequest"),
    },
    "EmbedContentRequest": {
        **_scalars("string", "model", "title"),
        "content": one("Content"),
        "outputDimensionality": one("int32"),
        "taskType": _TASK,
        "embedContentConfig": one("EmbedContentConfig"),
    },
    "EmbedContentConfig": {
        "title": one("string"),
        "taskType": _TASK,
        "outputDimensionality": one("int32"),
        **_scalars("bool", "documentOcr", "audioTrackExtraction", "autoTruncate"),
    },
    "BatchEmbedContentsRequest": {"requests": many("EmbedContentRequest"), "model": one("string")},
    "CreateFileRequest": {"file": one("File")},
    "File": {
        **_scalars("string", "name", "displayName", "mimeType", "uri", "sha256Hash", "source"),
        "sizeBytes": one("int64"),
    },
}

CONTENTS: dict[str, dict[str, Field]] = {
    "Content": {"role": one("string"), "parts": many("Part")},
    "Part": {
        "text": one("string"),
        "thought": one("bool"),
        "thoughtSignature": one("bytes"),
        "inlineData": one("Blob"),
        "fileData": one("FileData"),
        "functionCall": one("FunctionCall"),
        "functionResponse": one("FunctionResponse"),
        "executableCode": one("ExecutableCode"),
        "codeExecutionResult": one("CodeExecutionResult"),
        "toolCall": one("ToolCall"),
        "toolResponse": one("ToolResponse"),
        "videoMetadata": one("VideoMetadata"),
        "mediaResolution": one("PartMediaResolution"),
        "mediaProcessing": enum("MediaProcessing", "MEDIA_PROCESSING_UNSPECIFIED STATIC AGENTIC"),
        "partMetadata": one("object"),
        "audioTranscription": one("object"),
    },
    "Blob": {"mimeType": one("string"), "data": one("bytes"), "displayName": one("string")},
    "FileData": {"mimeType": one("string"), "fileUri": one("string"), "displayName": one("string")},
    "FunctionCall": {**_scalars("string", "id", "name"), "args": one("object")},
    "FunctionResponse": {
        **_scalars("string", "id", "name"),
        "response": one("object"),
        "parts": many("FunctionResponsePart"),
        "willContinue": one("bool"),
        "scheduling": enum("Scheduling", "SCHEDULING_UNSPECIFIED SILENT WHEN_IDLE INTERRUPT"),
    },
    "FunctionResponsePart": {"inlineData": one("Blob"), "fileData": one("FileData")},
    "ExecutableCode": {
        **_scalars("string", "id", "code"),
        "language": enum("Language", "LANGUAGE_UNSPECIFIED PYTHON"),
    },
    "CodeExecutionResult": {
        **_scalars("string", "id", "output"),
        "outcome": enum(
            "Outcome", "OUTCOME_UNSPECIFIED OUTCOME_OK OUTCOME_FAILED OUTCOME_DEADLINE_EXCEEDED"
        ),
    },
    "ToolCall": {
        **_scalars("string", "id", "toolName"),
        "args": one("object"),
        "toolType": _TOOL_TYPE,
    },
    "ToolResponse": {"id": one("string"), "response": one("object"), "toolType": _TOOL_TYPE},
    "VideoMetadata": {
        "startOffset": one("duration"),
        "endOffset": one("duration"),
        "fps": one("float"),
    },
    "PartMediaResolution": {
        "level": enum(
            "MediaResolution",
            prefixed("MEDIA_RESOLUTION", "UNSPECIFIED LOW MEDIUM HIGH ULTRA_HIGH"),
        )
    },
}
