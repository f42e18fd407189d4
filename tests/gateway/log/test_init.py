"""What comes into the log, and which texts of the settings must not."""

import logging
import os

import orjson
import pytest
import structlog

from gateway.log import Output, secrets_of
from gateway.settings import Credential, Database, License, Log, Settings, State, Upstream

SECRET = "AIzaSy-not-a-real-key"


def test_lines_below_the_level_are_not_written_and_a_reload_changes_the_level(pipe):
    output = Output(pipe[1])
    log = structlog.get_logger()
    output.configure(Log(format="json", level="warning"), ())
    log.info("unheard")
    output.configure(Log(format="json", level="debug"), ())
    log.debug("heard")
    output.sink.flush()
    assert orjson.loads(os.read(pipe[0], 4096))["event"] == "heard"


def test_warnings_of_libraries_come_into_the_same_log_without_what_quotes_requests(logged):
    def speak(_):
        logging.getLogger("some.library").warning("careful: %s", SECRET)
        logging.getLogger("aiohttp.server").error("Authorization: abc")
        logging.getLogger("asyncio").error("Authorization: abc")

    values = orjson.loads(logged(speak, secrets=[SECRET]))
    assert values["logger"] == "some.library"
    assert values["message"] == "careful: [redacted]"


def test_every_secret_of_the_settings_is_known():
    settings = Settings(
        upstream=Upstream(
            credentials=(Credential(name="a", key="k1"),), proxy="http://me:k4@host:1"
        ),
        licenses=(License(id="a", key="k2"), License(id="b", key_sha256="00")),
        state=State(url="redis://:k3@host"),
    )
    assert secrets_of(settings) == ["k1", "k2", "k4", "k3"]


def test_passwords_of_addresses_are_secrets_as_written_and_as_sent():
    settings = Settings(
        state=State(
            url="redis+sentinel://me:a%2Fb@h/s?sentinel_username=x&sentinel_password=c%3Fd"
        ),
        database=Database(url="postgresql+asyncpg://h/db?user=u&password=word"),
    )
    assert secrets_of(settings) == ["a%2Fb", "c%3Fd", "a/b", "c?d", "word"]


@pytest.mark.parametrize(
    ("written", "secret"),
    [("a/bc", "a/bc"), ("a#bc", "a#bc"), ("a[bc", "a[bc"), ("a@bc", "a@bc"), ("a:bc", "a:bc")],
)
def test_a_password_that_is_not_escaped_is_a_secret_all_the_same(written, secret):
    url = f"postgresql+asyncpg://me:{written}@host/db"
    assert secret in secrets_of(Settings(database=Database(url=url)))
