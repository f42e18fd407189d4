"""The client's address behind proxies: the rightmost one that is not a trusted proxy.

`X-Forwarded-For` is trusted only as far as trusted proxies have written it: it is read from the
right, and the first untrusted address is the client. Anything left of that may be forged.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> Networks:
    """Return *texts*, addresses and CIDR ranges, as networks. Raises `ValueError`."""
    return tuple(ip_network(text, strict=False) for text in texts)


def within(address: str, ranges: Networks) -> bool:
    """Tell whether *address* lies in one of *ranges*; IPv4 written as IPv6 counts as IPv4."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    return any(parsed.version == network.version and parsed in network for network in ranges)


def client_address(
    peer: str, forwarded_for: str | None, real_ip: str | None, trusted: Networks
) -> str:
    """Return the client's address; *peer* is the connected host, the others are header values."""
    if not (forwarded_for or real_ip) or not within(peer, trusted):
        return peer
    hops = [hop.strip() for hop in (forwarded_for or real_ip or "").split(",")]
    for hop in reversed(hops):
        if not within(hop, trusted):
            return hop if _is_address(hop) else peer
    return hops[0] if _is_address(hops[0]) else peer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
