"""What must be true of the machine before the gateway serves on it."""

import sys
from importlib.metadata import version

from aiohttp import http_parser

from gateway.sockets import StartError

MIN_AIOHTTP = (3, 14, 3)


def check_machine() -> None:
    """Raise `StartError` unless aiohttp is new enough, compiled, and Python keeps its asserts."""
    found = version("aiohttp")
    if tuple(int(part) for part in found.split(".")[:3] if part.isdigit()) < MIN_AIOHTTP:
        wanted = ".".join(map(str, MIN_AIOHTTP))
        raise StartError(f"aiohttp {found} has known holes; install aiohttp>={wanted}")
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise StartError(
            "aiohttp runs without its C extensions, whose parser is the safe one; "
            "install its wheel and unset AIOHTTP_NO_EXTENSIONS"
        )
    if sys.flags.optimize:
        raise StartError("python -O removes checks that keep requests apart; start without it")
