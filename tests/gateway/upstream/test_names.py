"""Aliases always hold; a replacement is learned and forgotten."""

from gateway.settings import Models, Replacement
from gateway.upstream.names import ModelNames


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


SETTINGS = Models(
    aliases={"fast": "gemini-2.5-flash"},
    replacements={"old": Replacement(model="new")},
    fallbacks={"new": ("newer",)},
)


def test_a_name_without_entry_stays_as_it_is():
    names = ModelNames(SETTINGS, Clock())
    assert names.resolve("gemini-2.5-pro") == "gemini-2.5-pro"
    assert names.replace("gemini-2.5-pro") is None
    assert names.fallbacks("gemini-2.5-pro") == ()


def test_an_alias_leads_to_its_model():
    assert ModelNames(SETTINGS, Clock()).resolve("fast") == "gemini-2.5-flash"


def test_a_replacement_holds_for_an_hour_after_upstream_refused_the_name():
    clock = Clock()
    names = ModelNames(SETTINGS, clock)
    assert names.resolve("old") == "old"
    assert names.replace("old") == "new"
    assert names.resolve("old") == "new"
    clock.now = 3600
    assert names.resolve("old") == "old"


def test_fallbacks_are_by_model():
    assert ModelNames(SETTINGS, Clock()).fallbacks("new") == ("newer",)
