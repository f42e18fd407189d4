"""The simulator's tables against Google's schema: what one takes, the other knows.

So whatever a gateway in a process of its own sends to a simulator fits the schema, too.
"""

import pytest

from gateway.simulator.strict.shape import _MESSAGES
from tests.discovery import NEWER, needs_schema, schemas

# What the client library of 2026-11 and recordings have, and the schema of 2026-09 has not.
LATER = {
    *NEWER,
    ("CountTokensRequest", "model"),
    ("BatchEmbedContentsRequest", "model"),
    ("Part", "audioTranscription"),
    ("Blob", "displayName"),
    ("FileData", "displayName"),
    ("FunctionResponsePart", "fileData"),
}
LATER_WORDS = {"MEDIA_PROCESSING", "STANDARD", "FLEX", "PRIORITY", "UNSPECIFIED"}
# The schema's names of messages that the tables name in their own way.
RENAMED = {
    "PartMediaResolution": "V1mainMediaResolution",
    "McpTransport": "StreamableHttpTransport",
    "ResponseFormat": "ResponseFormatConfig",
    "TextFormat": "TextResponseFormat",
    "ImageFormat": "ImageResponseFormat",
    "AudioFormat": "AudioResponseFormat",
}
WIRE = {
    "bytes": "string",
    "duration": "string",
    "time": "string",
    "int32": "integer",
    "int64": "string",
    "float": "number",
    "bool": "boolean",
}
MESSAGES = sorted(_MESSAGES.keys() - {"Empty"})


def known_shape(type_name, name, field):
    """Return what the schema holds of one *field*, None where it does not know it."""
    properties = schemas()[RENAMED.get(type_name, type_name)].get("properties", {})
    known = properties.get(name)
    if known is not None and field.many:
        assert known["type"] == "array"
        return known["items"]
    return known["additionalProperties"] if known is not None and field.keyed else known


@needs_schema
@pytest.mark.parametrize("type_name", MESSAGES)
def test_what_the_simulator_takes_is_known_to_googles_schema(type_name):
    for name, field in _MESSAGES[type_name].items():
        known = known_shape(type_name, name, field)
        if (type_name, name) in LATER:
            assert known is None, f"{type_name}.{name} is no exception any more"
        elif field.values:
            assert field.values - LATER_WORDS <= set(map(str.upper, known["enum"])), name
        elif field.type in _MESSAGES:
            assert "$ref" in known, (type_name, name)
        else:
            assert known["type"] == WIRE.get(field.type, field.type), (type_name, name)
