"""TLS on this machine: contexts for its servers, and for clients that trust them."""

import ssl
from functools import cache

import trustme


@cache
def server_context(host: str = "127.0.0.1") -> ssl.SSLContext:
    """Return what servers of *host* show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(host).configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Return what trusts them, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context


@cache
def _authority() -> trustme.CA:
    return trustme.CA()
