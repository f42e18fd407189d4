import pytest

from gateway.dialects.openai_embeddings.request import MOST_INPUTS, client_field
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_embeddings.asking import MODEL, ask


def test_each_text_is_one_request_of_a_batch():
    _, call, notes = ask(input=["a", "b"], dimensions=256)
    assert (call.model, call.action, call.stream) == (MODEL, "batchEmbedContents", False)
    assert call.body == {
        "requests": [
            {
                "model": f"models/{MODEL}",
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 256,
            }
            for text in ("a", "b")
        ]
    }
    assert not notes.dropped
    assert not notes.adjusted


def test_a_batch_has_a_hundred_texts_at_most():
    texts = [str(n) for n in range(250)]
    _, call, _ = ask(input=texts)
    bodies = [call.body, *call.further]
    assert [len(body["requests"]) for body in bodies] == [100, 100, 50]
    sent = [one["content"]["parts"][0]["text"] for body in bodies for one in body["requests"]]
    assert sent == texts


def test_an_alias_is_named_in_every_text():
    _, call, _ = ask(alias="other")
    assert call.model == "other"
    assert call.body["requests"][0]["model"] == "models/other"


@pytest.mark.parametrize("key", ["task_type", "taskType"])
@pytest.mark.parametrize("around", [lambda google: google, lambda google: {"google": google}])
def test_geminis_own_fields_go_up_in_either_spelling(key, around):
    google = {key: "retrieval_query", "title": "T", "colour": 1}
    settings = around(google)
    fields = {"extra_body": settings} if "google" in settings else {"google": settings}
    _, call, notes = ask(**fields)
    [text] = call.body["requests"]
    assert (text["taskType"], text["title"]) == ("RETRIEVAL_QUERY", "T")
    assert list(notes.dropped) == ["google.colour"]


@pytest.mark.parametrize(
    "fields",
    [{"model": "gemini-embedding-2"}, {"refusals": frozenset({"task_type"})}],
    ids=["known to refuse", "seen to refuse"],
)
def test_a_task_type_does_not_go_to_a_model_that_refuses_it(fields):
    model = fields.get("model")
    _, call, notes = ask(google={"task_type": "CLUSTERING"}, **fields)
    assert call.model == (model or MODEL)
    assert "taskType" not in call.body["requests"][0]
    assert notes.adjusted == {"google.task_type": "dropped;reason=model"}


def test_what_has_no_counterpart_is_named():
    _, _, notes = ask(
        user="u", colour=1, extra_body={"size": 5}, dimensions=9, google={"outputDimensionality": 8}
    )
    assert list(notes.dropped) == ["dimensions", "user", "colour", "extra_body.size"]


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"input": None}, "input", "missing"),
        ({"input": 5}, "input", "array of strings"),
        ({"input": ""}, "input", "empty"),
        ({"input": []}, "input", "empty"),
        ({"input": ["a", ""]}, "input[1]", "empty"),
        ({"input": [1, 2]}, "input", "check_embedding_ctx_length"),
        ({"input": ["a", 2]}, "input[1]", "check_embedding_ctx_length"),
        ({"input": [True]}, "input[0]", "string"),
        ({"dimensions": 0}, "dimensions", "at least 1"),
        ({"dimensions": 1e300}, "dimensions", "at most 2147483647"),
        ({"google": {"output_dimensionality": 1e300}}, "google.outputDimensionality", "range"),
        ({"input": [[1], [2]]}, "input[0]", "check_embedding_ctx_length"),
        ({"input": ["a", {}]}, "input[1]", "string"),
        ({"input": ["a"] * (MOST_INPUTS + 1)}, "input", "2048"),
        ({"encoding_format": "int8"}, "encoding_format", "base64"),
        ({"dimensions": "big"}, "dimensions", "integer"),
        ({"model": ""}, "model", "empty"),
        ({"google": {"task_type": "SLEEPING"}}, "google.taskType", "CLUSTERING"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_its_place(fields, param, message):
    with pytest.raises(BadRequest) as refused:
        ask(**fields)
    assert refused.value.param == param
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("payload", "field", "path"),
    [
        ({"input": ["a", "b"]}, "requests[1].content.parts[0].text", "input[1]"),
        ({"input": "a"}, "requests[0].content", "input"),
        ({"input": ["a"] * 101}, "requests[0].content", "input"),
        ({"input": "a", "dimensions": 9}, "requests[0].output_dimensionality", "dimensions"),
        ({"input": "a"}, "requests[0].task_type", "google.task_type"),
        ({"input": "a"}, "requests[0].model", "requests[0].model"),
        ({"input": "a"}, "model", "model"),
    ],
)
def test_what_gemini_names_has_the_clients_name(payload, field, path):
    assert client_field(payload, field) == path
