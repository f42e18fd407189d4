"""Which paths mean the same."""

import pytest

from gateway.paths import Paths


@pytest.mark.parametrize(
    ("target", "forgiven"),
    [
        ("/gemini/v1/models", "/gemini/v1/models"),
        ("/gemini//v1///models/", "/gemini/v1/models"),
        ("//gemini/v1/models", "/gemini/v1/models"),
        ("/gemini/v1/models/?key=a//b/", "/gemini/v1/models?key=a//b/"),
        ("/gemini/v1/models/a%2Fb%2f/", "/gemini/v1/models/a%2Fb%2f"),
        ("/", "/"),
        ("//", "/"),
        ("*", "*"),
        ("http://evil//x", "http://evil//x"),
        ("/v1/models", "/v1/models"),
    ],
)
def test_paths_are_forgiven_and_nothing_else_is_changed(target, forgiven):
    assert Paths("/gemini", aliases=False).forgive(target) == forgiven


@pytest.mark.parametrize(
    ("target", "forgiven"),
    [
        ("/v1/models", "/gemini/v1/models"),
        ("/v1beta/models/a:b?key=x", "/gemini/v1beta/models/a:b?key=x"),
        ("//v1//models/", "/gemini/v1/models"),
        ("/v1", "/gemini/v1"),
        ("/v1x/models", "/v1x/models"),
        ("/healthz", "/healthz"),
        ("/gemini/v1/models", "/gemini/v1/models"),
    ],
)
def test_with_aliases_the_bare_paths_lead_to_the_prefix(target, forgiven):
    assert Paths("/gemini", aliases=True).forgive(target) == forgiven
