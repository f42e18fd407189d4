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
    # Nobody else closes them: their numbers may belong to something else by now.
    os.close(read)
    os.close(write)


@pytest.fixture
def logged(pipe):
    """Return what tells which bytes reach the descriptor when *speak* uses a logger."""

    def logged(speak, settings=None, secrets=()) -> bytes:
        output = Output(pipe[1])
        output.configure(settings or Log(format="json"), secrets)
        speak(structlog.get_logger())
        output.sink.flush()
        os.set_blocking(pipe[0], False)
        return os.read(pipe[0], 65_536)

    return logged
