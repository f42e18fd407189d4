import contextlib
import logging
import os

import pytest
import structlog

from gateway.log import Output
from gateway.settings import Log


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


@pytest.fixture
def logged(pipe):
    """Return what tells which bytes reach the descriptor when *speak* uses a logger."""

    def logged(speak, settings=None, secrets=()) -> bytes:
        output = Output(pipe[1])
        output.configure(settings or Log(format="json"), secrets)
        speak(structlog.get_logger())
        output.sink.flush()
        os.close(pipe[1])
        with os.fdopen(pipe[0], "rb", closefd=False) as stream:
            return stream.read()

    return logged
