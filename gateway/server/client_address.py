"""The client's address behind proxies: the rightmost one that is not a trusted proxy.

`X-Forwarded-For` is trusted only as far as trusted proxies have written it: it is read from the
right, and the first untrusted address is the client. Anything left of that may be forged.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Networks = tuple[IPv4Network | IPv6Network, ...]

# A single client has at least 64 bits of an IPv6 address to choose from.
_CLIENT_PREFIX: Final = 64
# Some proxies add the client's port, and then write IPv6 in brackets.
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> Networks:
    """Return *texts*, addresses and CIDR ranges, as networks. Raises `ValueError`."""
    return tuple(ip_network(text, strict=False) for text in texts)


def within(address: str, ranges: Networks) -> bool:
    """Tell whether *address* lies in one of *ranges*; IPv4 written as IPv6 counts as IPv4."""
    parsed = _parsed(address)
    if parsed is None:
        return False
    return any(parsed.version == network.version and parsed in network for network in ranges)


def client_address(
    peer: str, forwarded_for: str | None, real_ip: str | None, trusted: Networks
) -> str:
    """Return the client's address; *peer* is the connected host, the others are header values."""
    if not (forwarded_for or real_ip) or not within(peer, trusted):
        return peer
    hops = [_without_port(hop.strip()) for hop in (forwarded_for or real_ip or "").split(",")]
    for hop in reversed(hops):
        if not within(hop, trusted):
            return hop if _parsed(hop) else peer
    return hops[0] if _parsed(hops[0]) else peer


def client_network(address: str) -> str:
    """Return what one client can be told by: its IPv4 address, or the network of its IPv6 one."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed), _CLIENT_PREFIX), strict=False))
    return address if parsed is None else str(parsed)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return *address*, IPv4 written as IPv6 as IPv4 and without a zone; None if it is none."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _without_port(hop: str) -> str:
    match = _WITH_PORT.fullmatch(hop)
    return hop if match is None else match[1] or match[2] or ""
