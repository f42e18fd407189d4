"""Which paths mean the same."""

import pytest

from gateway.server.paths import Paths


@pytest.mark.parametrize(
    ("target", "normalised"),
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
def test_paths_are_normalised_and_nothing_else_is_changed(target, normalised):
    assert Paths("/gemini", aliases=False).normalised(target) == normalised


@pytest.mark.parametrize(
    ("target", "normalised"),
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
def test_with_aliases_the_bare_paths_lead_to_the_prefix(target, normalised):
    assert Paths("/gemini", aliases=True).normalised(target) == normalised
