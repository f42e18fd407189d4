"""A strict reading of media URLs, refused wherever two parsers could see two hosts."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from yarl import URL

from gateway.errors import InvalidMedia
from gateway.media.addresses import Policy

MAX_CHARACTERS = 8192

# One message for every fault of an address, so that answers reveal nothing about the network.
UNREACHABLE = "This URL cannot be fetched: it does not lead to a public http or https server."

_CLEAN = re.compile(r"[^\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]+")
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>\d{1,5}))?(?=[/?#]|$)",
    re.ASCII | re.IGNORECASE,
)
_NUMERIC_LABEL = re.compile(r"(?:0x[0-9a-f]*|\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be requested: *host* is a lower-case name or a canonical address."""

    url: URL
    host: str
    port: int


def parse(text: str, policy: Policy) -> Target:
    """Parse *text*, the client's URL or a redirect's, strictly.

    Refused are other schemes, ports beyond 80 and 443, user names, and hosts that are empty, not
    ASCII, percent-encoded, numeric without being a canonical IPv4 address, or forbidden. Raises
    `InvalidMedia`.
    """
    origin = _ORIGIN.match(text)
    if origin is None or len(text) > MAX_CHARACTERS or not _CLEAN.fullmatch(text):
        raise InvalidMedia(UNREACHABLE)
    host = origin["host"].strip("[]").lower()
    port = int(origin["port"] or (443 if origin["scheme"].lower() == "https" else 80))
    url = _read_twice(text, host, port)
    literal = _literal(origin["host"])
    if literal is not None:
        host = str(literal)
    if not policy.admits_port(host, port):
        raise InvalidMedia(UNREACHABLE)
    if literal is not None and not policy.admits(host, port, host):
        raise InvalidMedia(UNREACHABLE)
    return Target(url, host, port)


def _read_twice(text: str, host: str, port: int) -> URL:
    """Return *text* as parsed by yarl, if yarl and urllib see the same host and port."""
    try:
        # Signed URLs must be sent unchanged; only characters beyond ASCII have to be quoted.
        url = URL(text, encoded=text.isascii())
        parts = urlsplit(text)
        readings = {
            ((url.raw_host or "").lower(), url.port),
            (parts.hostname, parts.port or url.port),
        }
    except ValueError:
        raise InvalidMedia(UNREACHABLE) from None
    if readings != {(host, port)} or url.user is not None or url.password is not None:
        raise InvalidMedia(UNREACHABLE)
    return url


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that *host* spells, None for a name; refuse every unusual spelling."""
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        if _NUMERIC_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return IPv4Address(host)
    except ValueError:
        raise InvalidMedia(UNREACHABLE) from None
    return None
