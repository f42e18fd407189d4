"""Model names and what each model can do."""

import pytest

from gateway.errors import BadRequest
from gateway.features import CHANGES
from gateway.models import _TABLE, ModelName, answering, base_name, capabilities, parse
from gateway.simulator.models import MODELS


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("gemini-2.5-pro", ModelName("gemini-2.5-pro")),
        ("models/gemini-2.5-pro", ModelName("gemini-2.5-pro")),
        ("gemini-2.5-pro-thinking", ModelName("gemini-2.5-pro", budget=-1, thoughts=True)),
        ("gemini-2.5-pro-thinking-99", ModelName("gemini-2.5-pro", budget=99, thoughts=True)),
        ("gemini-2.5-pro-nothinking", ModelName("gemini-2.5-pro", budget=0)),
        ("gemini-3-pro-high", ModelName("gemini-3-pro", level="high")),
        ("acme-high", ModelName("acme-high")),
        ("gemini-2.0-flash-thinking-exp-01-21", ModelName("gemini-2.0-flash-thinking-exp-01-21")),
    ],
)
def test_a_name_is_taken_apart(name, parsed):
    assert parse(name) == parsed
    assert base_name(name) == parsed.base


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("gemini-2.5-flash-001", "gemini-2.5-flash-001"),
        ("models/gemini-2.5-flash-001", "gemini-2.5-flash-001"),
        ("no name", None),
        ("a\r\nset-cookie: b", None),
        (5, None),
        (None, None),
    ],
)
def test_the_model_that_answered_is_named_if_it_is_a_name(version, name):
    assert answering(version) == name


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a b", "a" * 129, "ä", "a\n", "models/"])
def test_a_name_that_no_model_can_have_is_refused(name):
    with pytest.raises(BadRequest) as caught:
        parse(name)
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("name", "thinking", "outputs"),
    [
        ("gemini-2.5-pro", "budget", ("TEXT",)),
        ("gemini-2.5-flash-lite", "budget", ("TEXT",)),
        ("gemini-2.5-flash-image", "none", ("TEXT", "IMAGE")),
        ("gemini-2.0-flash-preview-image-generation", "none", ("TEXT", "IMAGE")),
        ("gemini-2.0-flash-exp-image-generation", "none", ("TEXT", "IMAGE")),
        ("gemini-2.5-pro-preview-tts", "none", ("AUDIO",)),
        ("gemini-3.8-flash-tts", "none", ("AUDIO",)),
        ("gemini-3-pro-image", "none", ("TEXT", "IMAGE")),
        ("gemini-nano-banana-2.1", "none", ("TEXT", "IMAGE")),
        ("gemini-3.1-flash-lite-image", "level", ("TEXT", "IMAGE")),
        ("gemma-3-27b-it", "none", ("TEXT",)),
        ("gemma-4-31b-it", "level", ("TEXT",)),
        ("gemini-flash-latest", "level", ("TEXT",)),
        ("gemini-4-argon", "level", ("TEXT",)),
        ("something-new", "level", ("TEXT",)),
    ],
)
def test_families_are_known_by_their_names(name, thinking, outputs):
    can = capabilities(name)
    assert (can.thinking, can.outputs) == (thinking, outputs)


@pytest.mark.parametrize(
    ("name", "refuses"),
    [
        ("gemini-2.5-flash", {"builtins_with_functions", "json_with_tools"}),
        ("gemini-3.5-flash", set()),
        ("gemini-3.5-flash-lite", {"sampling"}),
        ("gemini-3.6-flash", {"sampling"}),
        ("gemini-3.8-flash", {"sampling", "candidates", "penalties"}),
    ],
)
def test_what_a_model_refuses(name, refuses):
    assert capabilities(name).refuses == refuses


@pytest.mark.parametrize(
    ("name", "known"),
    [("gemini-3.5-flash", True), ("gemini-2.5-flash", False), ("gemma-4-31b-it", False)],
)
def test_only_newer_models_of_gemini_know_a_resolution_for_one_part(name, known):
    assert capabilities(name).part_resolution is known


def test_every_refused_feature_has_a_change():
    named = set().union(*(facts.get("refuses", ()) for _, facts in _TABLE))
    assert named <= CHANGES.keys()


# The simulator's table was made apart.
KINDS = {"chat", "image", "tts"}
SIMULATED = [
    model for name, model in MODELS.items() if model.kind in KINDS and name.startswith("gemini-")
]


@pytest.mark.parametrize("model", SIMULATED, ids=[model.name for model in SIMULATED])
def test_a_model_can_what_the_simulated_one_does(model):
    can = capabilities(model.name)
    assert set(can.outputs) == model.outputs
    assert can.signed_calls == model.signs
    if model.kind == "chat":
        assert can.thinking == ("budget" if model.budget else "level")
        assert can.call_ids == (model.ids and model.version >= (3, 5))
        if model.budget:
            assert (can.budgets, can.thinking_off) == (model.budget, model.budget_off)
        else:
            assert can.levels == model.levels
