"""Stores on a real Valkey, closed at the end of the test."""

import pytest

from gateway.state.valkey import ValkeyStore

# A busy machine must not look like a server that is down.
PATIENT_S = 10.0


@pytest.fixture
async def connect():
    stores = []

    def make(url, namespace="test"):
        stores.append(ValkeyStore(url, namespace, timeout_s=PATIENT_S, slot_ttl_s=1.0))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
def store(valkey, connect):
    return connect(valkey.url)
