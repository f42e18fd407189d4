"""Who asks, behind proxies that may or may not be trusted."""

import pytest

from gateway.server.client_address import client_address, client_network, networks, within

TRUSTED = networks(("127.0.0.1/32", "::1/128", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "real_ip", "client"),
    [
        ("203.0.113.9", None, None, "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "1.2.3.4", "203.0.113.9"),
        ("127.0.0.1", "1.2.3.4", None, "1.2.3.4"),
        ("127.0.0.1", "6.6.6.6, 1.2.3.4", None, "1.2.3.4"),
        ("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.1.1", None, "1.2.3.4"),
        ("127.0.0.1", "10.2.2.2, 10.1.1.1", None, "10.2.2.2"),
        ("127.0.0.1", "1.2.3.4, not an address", None, "127.0.0.1"),
        ("127.0.0.1", "", "1.2.3.4", "1.2.3.4"),
        ("::1", "2001:db8::1", None, "2001:db8::1"),
        ("::ffff:10.0.0.1", "1.2.3.4", None, "1.2.3.4"),
        ("", "1.2.3.4", None, ""),
        # Some proxies add ports.
        ("127.0.0.1", "1.2.3.4:56789", None, "1.2.3.4"),
        ("127.0.0.1", "1.2.3.4:56789, 10.1.1.1:80", None, "1.2.3.4"),
        ("127.0.0.1", "[2001:db8::1]:443", None, "2001:db8::1"),
        ("127.0.0.1", "[2001:db8::1]", None, "2001:db8::1"),
        ("127.0.0.1", None, "1.2.3.4:56789", "1.2.3.4"),
        ("127.0.0.1", "[]:443", None, "127.0.0.1"),
        ("127.0.0.1", "1.2.3:443", None, "127.0.0.1"),
    ],
)
def test_headers_are_believed_as_far_as_trusted_proxies_wrote_them(
    peer, forwarded, real_ip, client
):
    assert client_address(peer, forwarded, real_ip, TRUSTED) == client


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.9.9.9", True),
        ("11.0.0.1", False),
        ("::1", True),
        ("::1%eth0", True),
        ("::ffff:10.0.0.1", True),
        ("nonsense", False),
    ],
)
def test_an_address_lies_in_a_network_or_not(address, inside):
    assert within(address, TRUSTED) == inside


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_client_is_told_by_what_it_cannot_choose(address, network):
    assert client_network(address) == network
