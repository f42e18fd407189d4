import pytest

from gateway.calls import config_of, setting, snake, with_config, with_model
from gateway.exchange import UpstreamCall


def call(verbatim=False, **body):
    return UpstreamCall("m", body, stream=False, verbatim=verbatim)


def test_another_model_is_named_in_every_text_of_a_batch():
    texts = [{"model": "models/m", "content": {}}]
    moved = with_model(call(requests=texts, other=1), "n")
    assert moved.model == "n"
    assert moved.body == {"requests": [{"model": "models/n", "content": {}}], "other": 1}
    assert texts[0]["model"] == "models/m"
    assert with_model(call(contents=[]), "n").body == {"contents": []}


def test_a_config_that_is_empty_is_left_out():
    one = call(generationConfig={"seed": 1}, contents=[])
    assert config_of(one) == {"seed": 1}
    assert with_config(one, {"seed": 2}).body["generationConfig"] == {"seed": 2}
    assert with_config(one, {}).body == {"contents": []}
    assert config_of(call()) == config_of(call(generationConfig=None)) == {}


@pytest.mark.parametrize(
    "body", [{"generationConfig": {"top_k": 5}}, {"generation_config": {"topK": 5}}]
)
def test_only_what_the_client_wrote_is_read_in_either_spelling(body):
    assert setting(call(verbatim=True, **body), "topK") == 5
    assert setting(call(**body), "topK") is None


def test_the_other_spelling_of_a_name():
    assert snake("maxOutputTokens") == "max_output_tokens"
