"""What tests of faults share."""

import pytest
from aiohttp import connector

from tests.faults.scripted import ScriptedUpstream
from tests.tls import client_context, server_context


@pytest.fixture
def over_tls(monkeypatch) -> None:
    """Have scripted upstreams speak TLS, and gateways of this process trust them."""
    monkeypatch.setattr(ScriptedUpstream, "tls", server_context())
    monkeypatch.setattr(connector, "_SSL_CONTEXT_VERIFIED", client_context())


@pytest.fixture(params=["plain", "tls"])
def with_and_without_tls(request) -> None:
    """Run a test twice: without TLS, as all others are, and with it, as Gemini is reached."""
    if request.param == "tls":
        request.getfixturevalue("over_tls")
