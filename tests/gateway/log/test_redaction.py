"""No line holds a secret, in whatever form it would be written."""

import logging

import orjson
import pytest

from gateway.log import put
from gateway.log.redaction import Secrets
from gateway.settings import Log

SECRET = "AIzaSy-not-a-real-key"


@pytest.mark.parametrize(
    "secret", [SECRET, 'quote"d secret', "back\\slash", "许可证一号", "x" * 3000]
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_known_secret_never_appears(logged, secret, form):
    line = logged(
        lambda log: log.info("told", text=f"Consumer api_key:{secret} is gone", more=[secret]),
        Log(format=form),
        [secret],
    )
    for shape in (secret.encode(), orjson.dumps(secret)[1:-1], repr(secret)[1:-1].encode()):
        assert shape[:200] not in line
    assert b"told" in line


@pytest.mark.parametrize(
    "key",
    [
        "AIza" + "x" * 35,
        "AQ." + "x" * 40,
        "gw-4f2a-" + "y" * 32,
        # As they are made: the secret may hold these signs anywhere, the id some of them, too.
        "gw-4f2a-jRVa-lFDp06_n4o8hhqm-ubfmE_qb4zm",
        "gw-team.a_1-" + "-_" * 16,
    ],
)
def test_keys_of_a_known_form_never_appear(logged, key):
    assert key.encode() not in logged(lambda log: log.info("told", text=f"key {key}."), secrets=())


@pytest.mark.parametrize("known", [1, 100], ids=["few", "many"])
@pytest.mark.parametrize("secret", [SECRET, 'quote"d secret', "许可证一号", "gw-4f2a-" + "y" * 32])
def test_the_line_of_a_request_holds_no_secret_either(logged, secret, known):
    values = {"event": "exchange", "id": "a", "model": f"m {secret}", "status": 200}
    secrets = [secret, *(f"secret {number}" for number in range(1, known))]
    line = logged(lambda _: put(logging.INFO, values), secrets=secrets)
    assert orjson.loads(line)["model"] == "m [redacted]"


def test_a_text_too_short_for_a_secret_is_left_alone(logged):
    line = logged(lambda log: log.info("told", text="a key"), secrets=["key", "", "keys"])
    assert orjson.loads(line)["text"] == "a key"


def test_of_many_secrets_each_is_redacted_wherever_it_stands(logged):
    secrets = [f"gw-{number:x}-{number * 7919:012d}" for number in range(3_000)]
    all_in_one = f"{secrets[0]}{secrets[1999]} and {secrets[2999]}."
    line = orjson.loads(logged(lambda log: log.info("told", text=all_in_one), secrets=secrets))
    assert line["text"] == "[redacted][redacted] and [redacted]."


def test_secrets_that_are_replaced_are_known_no_longer():
    secrets = Secrets()
    for known, left in ((["one-key"], b"_ two-key"), (["two-key"], b"one-key _"), ([], None)):
        secrets.know(known)
        line = b"one-key two-key"
        assert secrets.redact(line).replace(b"[redacted]", b"_") == (left or line)
