"""What waits, and what comes."""

import signal

import pytest

from gateway.process import signals


@pytest.fixture
def come():
    """Yield the signals that came, each with a handler; held are those that were held before."""
    came = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in signals.ENDING | signals.RELOAD
    }
    yield came
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_what_is_held_comes_once_it_is_handled(come, number):
    signals.hold()
    signal.raise_signal(number)
    assert (come, signal.sigpending()) == ([], {number})
    with signals.handled():
        assert come == [number]


def test_behind_the_handlers_a_reload_is_held_again_and_an_end_is_not(come):
    signals.hold()
    with signals.handled():
        pass
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTERM)
    assert come == [signal.SIGTERM]
    signals.let_through(signals.RELOAD)
    assert come == [signal.SIGTERM, signal.SIGHUP]


def test_where_nothing_was_held_nothing_is_held_behind_the_handlers(come):
    with signals.handled():
        pass
    signal.raise_signal(signal.SIGHUP)
    assert come == [signal.SIGHUP]
