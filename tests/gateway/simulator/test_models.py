import pytest

from gateway.simulator.models import MODELS
from tests.discovery import needs_schema, validate


def test_models_that_were_shut_down_are_not_there():
    gone = {"gemini-2.0-flash", "gemini-2.5-flash-preview-05-20", "gemini-2.5-flash-preview-tts"}
    assert not gone & MODELS.keys()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_what_a_model_does_follows_from_its_kind(model):
    assert (model.kind == "embedding") == ("embedContent" in model.methods)
    assert model.thinking == (model.budget is not None or bool(model.levels))
    assert not (model.budget and model.levels)


@needs_schema
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_cards_fit_the_schema(model):
    assert validate(model.card(), "Model") == []
