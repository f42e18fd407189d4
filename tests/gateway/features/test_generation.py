"""Bodies without generation settings that a model refuses."""

import pytest

from gateway.exchange import Notes, UpstreamCall
from gateway.features import generation


def changed(change, config, *bounds):
    """Return the settings that are left of *config*, and the notes."""
    notes = Notes()
    call = UpstreamCall("m", {"contents": [], "generationConfig": config}, stream=False)
    changed_call = change(call, notes, *bounds)
    assert call.body["generationConfig"] == config
    return changed_call.body.get("generationConfig"), dict(notes.adjusted)


def test_settings_are_left_out_and_named_as_the_client_does():
    change = generation.without_settings("topP", "topK")
    assert changed(change, {"topP": 1, "seed": 2}) == (
        {"seed": 2},
        {"top_p": "dropped;reason=model"},
    )
    assert changed(change, {"topP": 1})[0] is None
    assert changed(change, {"seed": 2}) == ({"seed": 2}, {})


def test_the_size_of_images_goes_and_their_form_stays():
    config = {"imageConfig": {"imageSize": "4K", "aspectRatio": "1:1"}}
    left, notes = changed(generation.without_image_size, config)
    assert left == {"imageConfig": {"aspectRatio": "1:1"}}
    assert notes == {"image_config.image_size": "dropped;reason=model"}


@pytest.mark.parametrize(
    ("change", "thinking", "left"),
    [
        (
            generation.without_minimal_thinking,
            {"thinkingLevel": "MINIMAL"},
            {"thinkingLevel": "LOW"},
        ),
        (generation.without_minimal_thinking, {"thinkingLevel": "HIGH"}, {"thinkingLevel": "HIGH"}),
        (generation.without_thinking_off, {"thinkingBudget": 0}, {"thinkingBudget": 512}),
        (generation.without_thinking_off, {"thinkingBudget": 9}, {"thinkingBudget": 9}),
        (
            generation.without_thinking_amount,
            {"thinkingBudget": 9, "includeThoughts": True},
            {"includeThoughts": True},
        ),
    ],
)
def test_thinking_becomes_what_the_model_can(change, thinking, left):
    got, notes = changed(change, {"thinkingConfig": thinking})
    assert got == {"thinkingConfig": left}
    assert bool(notes) == (left != thinking)


@pytest.mark.parametrize(("value", "left"), [(9, 8), (8, 8), (1, 1)])
def test_a_setting_is_lowered_to_the_most(value, left):
    got, notes = changed(generation.at_most("topK"), {"topK": value}, 0, 8)
    assert got == {"topK": left}
    assert notes == ({"top_k": "8;reason=model"} if left != value else {})
