"""Whatever comes from upstream, the smaller dialects relay it or call it upstream's fault."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import GEMINI, OPENAI_EMBEDDINGS
from gateway.errors import UpstreamError
from gateway.exchange import Known, Notes

NAMES = (
    "candidates content parts text finishReason index usageMetadata promptTokenCount tokenCount "
    "totalTokenCount promptTokensDetails modality modelStatus retirementTime promptFeedback "
    "embeddings embedding values totalTokens"
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.just("STOP")
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4)
    ),
    max_leaves=10,
)
events = st.lists(st.dictionaries(st.sampled_from(NAMES.split()), values, max_size=5), min_size=1)
ADDRESS = {"model": "gemini-2.5-flash"}
VECTORS = {"model": "gemini-embedding-001", "input": "a"}
ASKED = [
    (GEMINI, {**ADDRESS, "action": "streamGenerateContent"}),
    (GEMINI, {**ADDRESS, "action": "generateContent"}),
    (GEMINI, {**ADDRESS, "action": "embedContent"}),
    (OPENAI_EMBEDDINGS, VECTORS),
    (OPENAI_EMBEDDINGS, {**VECTORS, "dimensions": 2, "encoding_format": "base64"}),
]


@pytest.mark.parametrize(("dialect", "payload"), ASKED)
@settings(max_examples=100, deadline=None)
@given(sent=events)
def test_any_json_is_relayed_or_upstreams_fault(dialect, payload, sent):
    call = dialect.call(payload, Known(exchange_id="x"), Notes())
    reply = dialect.reply(call, payload, Known(exchange_id="x"))
    try:
        chunks = reply.feed(*sent) + reply.finish()
        if call.stream:
            assert reply.encode(chunks).count(b"data: ") == sum(map(bool, sent))
        elif dialect is GEMINI:
            assert reply.collect(chunks) == sent[0]
        else:
            assert len(reply.collect(chunks)["data"]) == 1
    except UpstreamError:
        pass
    # What is booked of it is read whatever came.
    assert reply.usage is None or isinstance(reply.usage.total, int)
