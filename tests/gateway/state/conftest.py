"""Stores on a real Valkey, closed at the end of the test."""

import pytest

from gateway.state.valkey import ValkeyStore


@pytest.fixture
async def connect():
    stores = []

    def make(url, namespace="test"):
        stores.append(ValkeyStore(url, namespace, slot_ttl_s=1.0))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
def store(valkey, connect):
    return connect(valkey.url)
