"""No packet goes to a forbidden address, however it is named: real resolver, real sockets."""

import json
import shutil
import subprocess
import sys

import pytest

from gateway.media.web_url import UNREACHABLE
from tests.gateway.media.test_addresses import FORBIDDEN

REACHABLE = ["93.184.216.34", "2606:2800:220:1::1"]
UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]


@pytest.fixture(scope="module")
def fetches():
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("needs unshare and ip")
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces are not permitted here")
    run = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.gateway.media.namespace"],
        input=json.dumps([REACHABLE, list(FORBIDDEN.values())]),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


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
