"""A path that died is noticed and gone round; who is slow, but lives, is waited for."""

import json

import pytest

from tests.gateway.upstream.namespace import CUT_AT_S, DEAD_AFTER_S, LONG_S
from tests.namespaces import run_unshared

# The kernel's timers count by the second where nothing is on its way.
NOTICED_S = CUT_AT_S + DEAD_AFTER_S + 1.0


@pytest.fixture(scope="module")
def calls():
    # Lines of the log come first.
    return json.loads(run_unshared("tests.gateway.upstream.namespace").splitlines()[-1])


@pytest.mark.parametrize("name", ["whole", "stream", "upload"])
def test_a_call_goes_on_elsewhere_when_its_path_dies(calls, name):
    result, attempts, seconds = calls[name]
    assert (result, attempts) == ("1 events", 2)
    assert seconds < NOTICED_S + LONG_S + 2.0


def test_a_stream_that_has_begun_ends_with_an_error(calls):
    result, attempts, seconds = calls["begun"]
    assert (result, attempts) == ("The upstream broke off in the middle.", 1)
    assert seconds < NOTICED_S + 1.0


@pytest.mark.parametrize("name", ["living", "living upload"])
def test_a_slow_upstream_is_waited_for(calls, name):
    result, attempts, seconds = calls[name]
    assert (result, attempts) == ("1 events", 1)
    assert seconds > DEAD_AFTER_S
