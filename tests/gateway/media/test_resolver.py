"""The guard lets a connection through to addresses that it has checked, and to no others."""

import socket
from contextlib import closing

import pytest
from yarl import URL

from gateway.media.addresses import Policy
from gateway.media.resolver import AddressRefusedError, Guard
from gateway.media.web_url import Target

GOOD = "93.184.216.34"


def guard(*addresses: str, host: str = "example.com", allow: tuple[str, ...] = ()) -> Guard:
    async def lookup(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return Guard(Target(URL(f"http://{host}/"), host, 80), Policy.of(allow), lookup)


async def test_all_addresses_of_a_good_host_are_given_once():
    found = await guard(GOOD, "2606:2800:220:1::1", GOOD).resolve("example.com", 80)
    assert [(entry["host"], entry["port"], entry["family"]) for entry in found] == [
        (GOOD, 80, socket.AF_INET),
        ("2606:2800:220:1::1", 80, socket.AF_INET6),
    ]


@pytest.mark.parametrize("addresses", [(), ("10.0.0.1",), (GOOD, "127.0.0.1"), (GOOD, "fe80::1%2")])
async def test_one_bad_address_refuses_the_host(addresses: tuple[str, ...]):
    with pytest.raises(AddressRefusedError):
        await guard(*addresses).resolve("example.com", 80)


async def test_an_allowed_host_may_be_private():
    found = await guard("10.0.0.1", host="inside", allow=("inside",)).resolve("inside", 80)
    assert [entry["host"] for entry in found] == ["10.0.0.1"]


def test_a_socket_is_made_for_a_checked_address_only():
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    with closing(guard().socket((*info, (GOOD, 80)))) as sock:
        assert sock.family == socket.AF_INET
    with pytest.raises(AddressRefusedError):
        guard().socket((*info, ("127.0.0.1", 80)))
    with pytest.raises(AddressRefusedError):
        guard().socket((socket.AF_INET6, *info[1:], ("2606:2800:220:1::1", 80, 0, 2)))
