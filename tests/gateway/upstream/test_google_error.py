"""Google's envelope is told from other bodies; its details give the delay and the fields."""

import json

import pytest

from gateway.upstream.google_error import GoogleError, error_object, seconds_in


def test_an_error_object_is_found_in_both_envelopes_only():
    error = {"code": 1}
    assert error_object(json.dumps({"error": error}).encode()) == error
    assert error_object(json.dumps([{"error": error}]).encode()) == error
    assert error_object(b"not json") is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("1.5", 1.5), ("0", 0), ("", None), ("-1", None), ("nan", None)]
)
def test_a_delay_is_a_finite_number_that_is_not_negative(text, seconds):
    assert seconds_in(text) == seconds


def test_what_a_message_quotes_is_kept_apart():
    error = GoogleError({"message": 'Invalid value "API key not valid"'}, 400, str)
    assert error.message.endswith('not valid"')
    assert error.unquoted == "Invalid value "
