"""No packet goes to a forbidden address, however it is named: real resolver, real sockets."""

import json

import pytest

from gateway.media.web_url import UNREACHABLE
from tests.gateway.media.test_addresses import FORBIDDEN
from tests.namespaces import run_unshared

REACHABLE = ["93.184.216.34", "2606:2800:220:1::1"]


@pytest.fixture(scope="module")
def fetches():
    given = json.dumps([REACHABLE, list(FORBIDDEN.values())])
    return json.loads(run_unshared("tests.gateway.media.namespace", given))


def test_public_addresses_are_reached_and_most_forbidden_ones_would_be(fetches):
    urls = list(fetches["fetches"])[: len(REACHABLE)]
    assert [fetches["fetches"][url] for url in urls] == [[[text], "fetched"] for text in REACHABLE]
    assert {"127.0.0.1", "169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"} < {*fetches["open"]}
    assert len(fetches["open"]) > 20


def test_no_forbidden_address_is_connected_to(fetches):
    wrong = {}
    for url, (reached, outcome) in fetches["fetches"].items():
        # A name that changes is looked up once, when it leads to a public address.
        expected = (
            "fetched" if "rebind" in url or url in list(fetches["fetches"])[:2] else UNREACHABLE
        )
        if outcome != expected or not set(reached) <= set(REACHABLE):
            wrong[url] = (reached, outcome)
    assert not wrong
    assert len(fetches["fetches"]) > 5 * len(FORBIDDEN)
