"""What the gateway requires of the machine, and sets in its own process, before it serves."""

import ctypes
import resource
import sys
from asyncio import sslproto
from importlib.metadata import version

from aiohttp import http_parser

from gateway.network.sockets import StartError
from gateway.process.aiohttp_internals import missing_names

# Earlier ones have vulnerabilities, or lack what connections here are built on.
MIN_AIOHTTP = (3, 14, 5)
# From <malloc.h>: https://man7.org/linux/man-pages/man3/mallopt.3.html
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED_FROM_BYTES = 1 << 21
KEPT_FREE_BYTES = 4 << 20
TLS_BUFFER_BYTES = 65_536
MAX_DESCRIPTORS = 1_048_576


def check_machine() -> None:
    """Raise `StartError` unless aiohttp is fit and compiled, and asserts are enabled."""
    installed = version("aiohttp")
    if tuple(int(part) for part in installed.split(".")[:3] if part.isdigit()) < MIN_AIOHTTP:
        minimum = ".".join(map(str, MIN_AIOHTTP))
        raise StartError(f"aiohttp {installed} is too old; install aiohttp>={minimum}")
    if missing := missing_names():
        lacks = f"aiohttp {installed} lacks {', '.join(missing)}, which this gateway builds on"
        raise StartError(f"{lacks}; install an earlier one")
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise StartError(
            "aiohttp runs without its C extensions, whose parser is the safe one; "
            "install its wheel and unset AIOHTTP_NO_EXTENSIONS"
        )
    if sys.flags.optimize:
        raise StartError("python -O removes checks that keep requests apart; start without it")


def give_back_memory() -> bool:
    """Return the memory of large bodies to the system when they are freed; tell if that works.

    Otherwise glibc raises its threshold after the first large body and takes the next ones from its
    heap, which hardly shrinks again. Other C libraries have no such habit and need no setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_FREE_BYTES)
    )


def shrink_tls_buffers() -> None:
    """Limit the read buffer of a TLS connection to 64 KB, with asyncio's own event loop.

    It would fill 256 KB with zeros for each connection, even idle ones. uvloop's buffers take no
    memory until they are used.
    """
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES


def raise_descriptor_limit() -> int:
    """Raise the soft limit on descriptors to the hard one; return how many may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return target if soft == resource.RLIM_INFINITY else soft
