import pytest

from gateway.calls import setting
from gateway.dialects.gemini import DIALECT
from gateway.errors import BadRequest
from gateway.exchange import Known, Notes

CONTENTS = [{"parts": [{"text": "Hi"}]}]


def call(*, model="gemini-2.5-flash", action="generateContent", alias=None, **body):
    payload = {**body, "model": model, "action": action}
    DIALECT.check(payload)
    return DIALECT.call(payload, Known(exchange_id="x", model=alias), Notes())


def test_the_body_goes_up_as_it_came():
    upstream_call = call(contents=CONTENTS, generation_config={"topK": 5}, colour=[None])
    assert upstream_call.body == {
        "contents": CONTENTS,
        "generation_config": {"topK": 5},
        "colour": [None],
    }
    assert (upstream_call.model, upstream_call.action, upstream_call.stream) == (
        "gemini-2.5-flash",
        "generateContent",
        False,
    )
    assert upstream_call.verbatim


def test_null_is_unset():
    assert call(contents=CONTENTS, generationConfig=None).body == {"contents": CONTENTS}


@pytest.mark.parametrize(
    ("action", "stream"),
    [("streamGenerateContent", True), ("countTokens", False), ("batchEmbedContents", False)],
)
def test_the_action_is_that_of_the_address(action, stream):
    upstream_call = call(action=action)
    assert (upstream_call.stream, upstream_call.action) == (
        stream,
        "generateContent" if stream else action,
    )


@pytest.mark.parametrize(
    ("model", "alias", "sent"),
    [
        ("fast", "gemini-3.5-flash", "gemini-3.5-flash"),
        ("gemini-2.5-flash", None, "gemini-2.5-flash"),
        ("gemini-2.5-flash-thinking", "gemini-2.5-flash", "gemini-2.5-flash-thinking"),
    ],
)
def test_aliases_count_and_suffixes_do_not(model, alias, sent):
    assert call(model=model, alias=alias).model == sent


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"generationConfig": []}, "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": "9"}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": -1}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 2**40}}, "generationConfig.candidateCount"),
        (
            {"generationConfig": {"responseModalities": "AUDIO"}},
            "generationConfig.responseModalities",
        ),
        ({"requests": {}}, "requests"),
        ({"requests": ["a"]}, "requests[0]"),
        ({"model": "../x"}, "model"),
    ],
)
def test_what_the_gateway_reads_has_its_type(body, param):
    with pytest.raises(BadRequest) as refused:
        call(**body)
    assert refused.value.param == param


def test_nothing_is_recalled():
    assert DIALECT.memory_keys({}, {}) == DIALECT.lost_keys({}, {}) == []


def test_a_batch_names_the_model_that_an_alias_means():
    texts = [{"model": "models/fast"}, {"model": "fast"}, {"model": "models/other"}, {}]
    upstream_call = call(model="fast", alias="m", action="batchEmbedContents", requests=texts)
    assert [text.get("model") for text in upstream_call.body["requests"]] == [
        "models/m",
        "models/m",
        "models/other",
        None,
    ]
    assert texts[0] == {"model": "models/fast"}


@pytest.mark.parametrize("name", ["generateContentRequest", "generate_content_request"])
def test_a_count_names_the_model_that_an_alias_means(name):
    upstream_call = call(
        model="fast", alias="m", action="countTokens", **{name: {"model": "models/fast"}}
    )
    assert upstream_call.body == {name: {"model": "models/m"}}


@pytest.mark.parametrize(
    "config",
    [
        {"generationConfig": {"maxOutputTokens": 5}},
        {"generationConfig": {"max_output_tokens": 5}},
        {"generation_config": {"maxOutputTokens": 5}},
        {"generation_config": {"max_output_tokens": 5}},
    ],
)
def test_limits_read_either_spelling(config):
    assert setting(call(**config), "maxOutputTokens") == 5
    assert setting(call(), "maxOutputTokens") is None
