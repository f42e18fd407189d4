"""The names that aiohttp does not promise and that this gateway builds on; checked at the start.

A release that renames one would fail in the middle of requests, or silently: a connection whose
`_factory` has no effect is one without our bounds.
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import TCPConnector, web
from aiohttp.client_proto import ResponseHandler

NAMES: Final[Mapping[type, str]] = {
    # `server.connection`, `server.request_loop`
    web.RequestHandler: (
        "_buffer_paused _close _current_request _force_close _handle_request _keepalive "
        "_keepalive_handle _keepalive_timeout _lingering_time _loop _manager _messages "
        "_msg_queue_resume_size _next_keepalive_close_time _parser _process_keepalive "
        "_reading_paused _request_count _request_factory _request_handler "
        "_resume_reading_if_drained _task_handler _waiter"
    ),
    # `server.connection_server`, `server.shortcuts`
    web.Application: "_handle _make_request",
    web.AppRunner: "_make_server",
    web.Server: "_connections _kwargs _loop",
    # `server.answers`, `server.request_loop`, `server.shortcuts`
    web.Request: "_match_info _prepare_hook _task",
    web.Response: "_body _zlib_executor _zlib_executor_size",
    web.StreamResponse: (
        "_chunked _compression _cookies _eof_sent _headers _keep_alive _payload_writer _req "
        "_send_headers_immediately"
    ),
    # `network.outgoing`, `upstream.pool`, `media.fetch`
    ResponseHandler: "_buffer_paused _loop _payload _reading_paused",
    TCPConnector: (
        "_acquired _cleanup _cleanup_handle _conns _create_connection _factory _get _loop "
        "_resolver_owner"
    ),
}


def missing_names() -> list[str]:
    """Return those of `NAMES` that the installed aiohttp does not have."""
    return [
        f"{kind.__name__}.{name}"
        for kind, names in NAMES.items()
        for name in names.split()
        if not _has(kind, name)
    ]


def _has(kind: type, name: str) -> bool:
    """Tell whether instances of *kind* have *name*: from the class, or set when they are made."""
    if hasattr(kind, name):
        return True
    codes = [getattr(vars(base).get("__init__"), "__code__", None) for base in kind.__mro__]
    return any(name in code.co_names for code in codes if code is not None)
