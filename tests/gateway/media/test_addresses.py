"""Only global unicast addresses are public, whatever they are wrapped in."""

from ipaddress import ip_address

import pytest

from gateway.media.addresses import Policy, is_public

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "2606:2800:220:1::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "64:ff9b::d043:dedc",
    "2002:808:808::1",
    "2606:2800:220:1:0:5efe:808:808",
]

FORBIDDEN = {
    "loopback": "127.0.0.1",
    "loopback elsewhere": "127.255.255.254",
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "private 10": "10.0.0.1",
    "private 172": "172.16.0.1",
    "private 192": "192.168.0.1",
    "link local and most metadata services": "169.254.169.254",
    "shared, and Alibaba's metadata service": "100.100.100.200",
    "Azure's wire server": "168.63.129.16",
    "Oracle's metadata service": "192.0.0.192",
    "protocol assignments": "192.0.0.8",
    "6to4 relays": "192.88.99.1",
    "benchmarking": "198.18.0.1",
    "documentation": "203.0.113.1",
    "multicast": "224.0.0.1",
    "multicast of an organisation": "239.255.255.250",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "loopback 6": "::1",
    "unspecified 6": "::",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped metadata": "::ffff:169.254.169.254",
    "compatible loopback": "::127.0.0.1",
    "compatible public": "::8.8.8.8",
    "translated loopback": "::ffff:0:127.0.0.1",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "NAT64 of private": "64:ff9b::a00:1",
    "NAT64 for local use": "64:ff9b:1::808:808",
    "6to4 of loopback": "2002:7f00:1::",
    "6to4 of private": "2002:c0a8:1::1",
    "Teredo of loopback": "2001:0:7f00:1::80ff:fffe",
    "ISATAP of private": "2606:2800:220:1:0:5efe:a00:1",
    "ISATAP of private, with a global id": "2606:2800:220:1:200:5efe:a00:1",
    "unique local": "fd00::1",
    "AWS metadata 6": "fd00:ec2::254",
    "link local 6": "fe80::1",
    "link local with a zone": "fe80::1%1",
    "public with a zone": "2606:2800:220:1::1%1",
    "site local": "fec0::1",
    "multicast 6": "ff02::1",
    "multicast 6, global": "ff0e::1",
    "documentation 6": "2001:db8::1",
    "documentation 6, new": "3fff::1",
    "documentation 6, new, its end": "3fff:fff::1",
    "discard": "100::1",
    "segment routing": "5f00::1",
}


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_admitted(text: str):
    assert is_public(ip_address(text))
    assert Policy.of(()).admits("example.com", 443, text)


@pytest.mark.parametrize("text", FORBIDDEN.values(), ids=FORBIDDEN)
def test_no_other_address_is(text: str):
    assert not is_public(ip_address(text))
    assert not Policy.of(()).admits("example.com", 443, text)


def test_text_that_is_no_address_is_not_admitted():
    assert not Policy.of(()).admits("example.com", 443, "example.com")


def test_operators_exceptions_hold_for_what_they_name_only():
    policy = Policy.of(["Files.Inside", "10.0.0.7:8080", "[fd00::7]:8080", "10.1.0.0/16"])
    assert policy.admits("files.inside", 443, "10.9.9.9")
    assert not policy.admits("other.inside", 443, "10.9.9.9")
    assert not policy.admits_port("files.inside", 8080)
    assert policy.admits_port("10.0.0.7", 8080)
    assert policy.admits("10.0.0.7", 8080, "10.0.0.7")
    assert not policy.admits("10.0.0.7", 443, "10.0.0.7")
    assert policy.admits("fd00::7", 8080, "fd00::7")
    assert policy.admits("any.test", 443, "10.1.2.3")
    assert not policy.admits("any.test", 443, "10.2.2.3")


def test_exceptions_are_read_in_every_spelling():
    policy = Policy.of([" files.inside ", "fd00::7", "[fd00::8]", "10.1.9.9/16"])
    assert policy.hosts == {"files.inside", "fd00::7", "fd00::8"}
    assert not policy.origins
    assert policy.admits("any.test", 443, "10.1.2.3")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("10.0.0.0/33", "does not appear to be"),
        ("a/b", "does not appear to be"),
        ("host:port", "no number after its colon"),
        ("host:+80", "no number after its colon"),
    ],
)
def test_a_wrong_exception_is_told(entry: str, fault: str):
    with pytest.raises(ValueError, match=fault):
        Policy.of([entry])
