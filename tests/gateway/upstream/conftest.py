"""An upstream client in front of a scripted server."""

import asyncio

import pytest

from gateway.settings import Models, Upstream
from gateway.upstream.client import GeminiUpstream
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.names import ModelNames


class Learned:
    """Remembers what was learned."""

    def __init__(self) -> None:
        self.learned = []

    def of(self, model):
        return frozenset()

    def learn(self, model, feature):
        self.learned.append((model, feature))


@pytest.fixture
async def gemini():
    """Yield a maker of upstreams; all of them are closed at the end."""
    upstreams = []

    async def make(url: str, *, keys=("key-1",), models=None, **settings) -> GeminiUpstream:
        clock = asyncio.get_running_loop().time
        members = [Credential(f"c{n}", key) for n, key in enumerate(keys, 1)]
        upstream = GeminiUpstream(
            Upstream(base_url=url, **settings),
            CredentialPool(members, clock=clock),
            ModelNames(models or Models(), clock),
            Learned(),
            clock,
        )
        upstreams.append(upstream)
        await upstream.start()
        return upstream

    yield make
    for upstream in upstreams:
        await upstream.close()
