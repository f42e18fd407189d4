import contextlib
import logging
import os
import select
import threading
import time

import orjson
import pytest
import structlog

from gateway import log as log_module
from gateway.log import MAX_LINE_BYTES, Output, Secrets, Sink, secrets_of
from gateway.settings import Credential, Database, License, Log, Settings, State, Upstream

SECRET = "AIzaSy-not-a-real-key"


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    for name in ("aiohttp.server", "aiohttp.access", "asyncio"):
        logging.getLogger(name).disabled = False


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        with contextlib.suppress(OSError):
            os.close(fd)


def logged(pipe, speak, settings=None, secrets=(SECRET,)) -> bytes:
    """Give what reaches the descriptor when *speak* uses a logger."""
    output = Output(pipe[1])
    output.configure(settings or Log(format="json"), secrets)
    speak(structlog.get_logger())
    output.sink.flush()
    os.close(pipe[1])
    with os.fdopen(pipe[0], "rb", closefd=False) as stream:
        return stream.read()


def test_a_line_is_one_json_object(pipe):
    line = logged(pipe, lambda log: log.info("exchange", id="a", status=200, model=None))
    values = orjson.loads(line)
    assert values.pop("time").endswith("+00:00")
    assert values == {"event": "exchange", "level": "info", "id": "a", "status": 200, "model": None}


@pytest.mark.parametrize(
    "secret", [SECRET, 'quote"d secret', "back\\slash", "许可证一号", "x" * 3000]
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_known_secret_never_appears(pipe, secret, form):
    line = logged(
        pipe,
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
def test_keys_of_a_known_form_never_appear(pipe, key):
    assert key.encode() not in logged(
        pipe, lambda log: log.info("told", text=f"key {key}."), secrets=()
    )


@pytest.mark.parametrize("form", ["json", "console"])
def test_control_characters_are_escaped(pipe, form):
    evil = 'a\n{"event":"forged"}\r\x1b[31m\x00\x7f\x9b\u2028\u202e'
    line = logged(pipe, lambda log: log.info("told", text=evil), Log(format=form))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    for unwanted in ("\r", "\x1b", "\x00", "\x7f", "\x9b", "\u2028", "\u202e"):
        assert unwanted.encode() not in line


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "values", [{"text": "x" * 100_000}, {f"key{n}": "y" * 300 for n in range(50)}]
)
def test_a_line_is_never_longer_than_the_limit(pipe, form, values):
    line = logged(pipe, lambda log: log.info("told", **values), Log(format=form))
    assert len(line) <= MAX_LINE_BYTES + 1
    assert b"told" in line


def test_lines_below_the_level_are_not_written_and_a_reload_changes_the_level(pipe):
    output = Output(pipe[1])
    log = structlog.get_logger()
    output.configure(Log(format="json", level="warning"), ())
    log.info("unheard")
    output.configure(Log(format="json", level="debug"), ())
    log.debug("heard")
    output.sink.flush()
    assert orjson.loads(os.read(pipe[0], 4096))["event"] == "heard"


def test_warnings_of_libraries_come_into_the_same_log_without_what_quotes_requests(pipe):
    def speak(_):
        logging.getLogger("some.library").warning("careful: %s", SECRET)
        logging.getLogger("aiohttp.server").error("Authorization: abc")
        logging.getLogger("asyncio").error("Authorization: abc")

    values = orjson.loads(logged(pipe, speak))
    assert values["logger"] == "some.library"
    assert values["message"] == "careful: [redacted]"


def test_a_closed_pipe_drops_lines_and_counts_them(pipe):
    os.close(pipe[0])
    sink = Sink(pipe[1])
    for _ in range(3):
        sink.put(b"lost\n")
    sink.flush()
    assert sink.dropped >= 3


def test_a_full_disk_drops_lines_and_counts_them():
    fd = os.open("/dev/full", os.O_WRONLY)
    sink = Sink(fd)
    sink.put(b"lost\n")
    sink.flush()
    assert sink.dropped == 1
    os.close(fd)


def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe, monkeypatch):
    monkeypatch.setattr(log_module, "MAX_QUEUED_LINES", 100)
    sink = Sink(pipe[1])
    done = threading.Event()

    def speak():
        for _ in range(2_000):
            sink.put(b"x" * 1_000 + b"\n")
        done.set()

    threading.Thread(target=speak, daemon=True).start()
    assert done.wait(10)
    assert sink.dropped > 0
    # Let the writer go: it stands in `write`.
    while threading.active_count() and os.read(pipe[0], 1 << 20):
        if not sink._lines and sink._writing.acquire(timeout=0.2):
            break


def test_the_number_of_lost_lines_is_told_in_the_log(pipe):
    sink = Sink(pipe[1])
    sink.dropped = 7
    sink.put(b"next\n")
    sink.flush()
    os.close(pipe[1])
    with os.fdopen(pipe[0], "rb", closefd=False) as stream:
        assert stream.read() == b'next\n{"event":"log_lines_dropped","count":7}\n'


def test_of_many_secrets_each_is_redacted_wherever_it_stands(pipe):
    secrets = [f"gw-{number:x}-{number * 7919:012d}" for number in range(3_000)]
    told = f"{secrets[0]}{secrets[1999]} and {secrets[2999]}."
    line = orjson.loads(logged(pipe, lambda log: log.info("told", text=told), secrets=secrets))
    assert line["text"] == "[redacted][redacted] and [redacted]."


def test_secrets_that_are_replaced_are_known_no_longer():
    secrets = Secrets()
    for known, left in ((["one-key"], b"_ two-key"), (["two-key"], b"one-key _"), ([], None)):
        secrets.know(known)
        line = b"one-key two-key"
        assert secrets.redact(line).replace(b"[redacted]", b"_") == (left or line)


def test_every_secret_of_the_settings_is_known():
    settings = Settings(
        upstream=Upstream(credentials=(Credential(name="a", key="k1"),)),
        licenses=(License(id="a", key="k2"), License(id="b", key_sha256="00")),
        state=State(url="redis://:k3@host"),
    )
    assert secrets_of(settings) == ["k1", "k2", "k3"]


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


def test_the_writer_rests_while_there_is_nothing_and_wakes_for_a_line(pipe, monkeypatch):
    monkeypatch.setattr(log_module, "BATCH_S", 0.005)
    monkeypatch.setattr(log_module, "TURNS_BEFORE_REST", 2)
    sink = Sink(pipe[1])
    for line in (b"one\n", b"two\n"):
        deadline = time.monotonic() + 10
        while not sink._rests and time.monotonic() < deadline:
            time.sleep(0.005)
        assert sink._rests
        sink.put(line)
        assert select.select([pipe[0]], [], [], 10)[0]
        assert os.read(pipe[0], 100) == line
