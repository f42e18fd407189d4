"""The addresses that media may be fetched from: public ones, and those the operator allows.

`ipaddress.is_global` alone is not the rule. It counts multicast as global, and addresses that carry
a private one inside (NAT64, 6to4); so these are unwrapped first. A few metadata services have
addresses that look public.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_DENIED_V4 = (
    # IETF protocol assignments, which include Oracle's metadata service.
    IPv4Network("192.0.0.0/24"),
    # Relays of 6to4, withdrawn by RFC 7526.
    IPv4Network("192.88.99.0/24"),
    # Azure's wire server.
    IPv4Network("168.63.129.16/32"),
)
# All addresses assigned as global unicast, and the documentation prefix that Python 3.11 calls
# global.
_UNICAST_V6 = IPv6Network("2000::/3")
_DOCUMENTATION_V6 = IPv6Network("3fff::/20")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether *address*, and the IPv4 address that it may carry, is global unicast."""
    if isinstance(address, IPv4Address):
        denied = any(address in network for network in _DENIED_V4)
        return address.is_global and not address.is_multicast and not denied
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[12:]))
    if address not in _UNICAST_V6 or address in _DOCUMENTATION_V6 or not address.is_global:
        return False
    inner = address.sixtofour
    if address.packed[8:12] in _ISATAP:
        inner = IPv4Address(address.packed[12:])
    return inner is None or is_public(inner)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rule with the operator's exceptions, the entries of `[media] allow_hosts`.

    A host is allowed with its own addresses and port; a network allows its addresses, whatever name
    resolves to them.
    """

    hosts: frozenset[str]
    origins: frozenset[tuple[str, int]]
    networks: tuple[IPv4Network | IPv6Network, ...]
    ports: frozenset[int]

    @classmethod
    def of(cls, entries: Iterable[str], ports: Iterable[int] = (80, 443)) -> "Policy":
        """Parse entries of the forms `host`, `host:port`, `[IPv6]:port` and CIDR.

        Raises `ValueError` for an invalid port or network.
        """
        hosts, origins, networks = set(), set(), []
        for entry in entries:
            text = entry.strip().lower()
            host, colon, port = text.rpartition(":")
            if "/" in text:
                networks.append(ip_network(text, strict=False))
            elif colon and (host.endswith("]") or ":" not in host):
                if not port.isdecimal():
                    raise ValueError(f"{entry!r} has no number after its colon")
                origins.add((host.strip("[]"), int(port)))
            else:
                hosts.add(text.strip("[]"))
        return cls(frozenset(hosts), frozenset(origins), tuple(networks), frozenset(ports))

    def admits_port(self, host: str, port: int) -> bool:
        """Tell whether *port* of *host* may be requested at all."""
        return port in self.ports or (host, port) in self.origins

    def admits(self, host: str, port: int, address: str) -> bool:
        """Tell whether *address* may be connected to on behalf of *host* and *port*."""
        if (host, port) in self.origins or host in self.hosts:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return is_public(parsed) or any(parsed in network for network in self.networks)
