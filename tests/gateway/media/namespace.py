"""Fetch from every forbidden address in a network of its own, where all of them answer.

Run by `test_namespace.py` inside `unshare --net --mount`. The addresses of both tables are given to
the loopback device, one server listens on port 80 of all of them, and the system's own resolver asks
a name server here: hosts named after their address, and some that change their mind. Prints a JSON
object: which forbidden addresses do answer here, and for each URL the addresses that were connected
to and what the fetcher said.
"""

import asyncio
import json
import socket
import struct
import subprocess
import sys
import tempfile
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from gateway.errors import InvalidMedia
from gateway.media.fetch import Budget, Fetcher
from gateway.media.spool import Spool
from gateway.network.lookup import system_lookup
from gateway.settings import Media
from tests.gateway.media.web import Web, answer, redirect

ZONE = ".test"


class NameServer(asyncio.DatagramProtocol):
    """Answer `a-<address>` with the address, `both-...` with several, `rebind-...` in turn."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], int] = {}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, query: bytes, peer: tuple[str, int]) -> None:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        question = query[12 : at + 5]
        found = [
            address.packed
            for address in self._addresses(labels[0], kind)
            if {4: 1, 6: 28}[address.version] == kind
        ]
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed for packed in found
        )
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        self._transport.sendto(head + question + records, peer)

    def _addresses(self, label: str, kind: int):
        way, _, rest = label.partition("-")
        addresses = [ip_address(bytes.fromhex(text)) for text in rest.split("-")]
        if way == "rebind":
            turn = self._asked[label, kind] = self._asked.get((label, kind), -1) + 1
            addresses = [addresses[min(turn, len(addresses) - 1)]]
        return addresses


def name(way: str, *addresses: str) -> str:
    return "-".join([way, *(ip_address(text).packed.hex() for text in addresses)]) + ZONE


def _prepare(addresses: list[str]) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for text in addresses:
        bare = text.partition("%")[0]
        device = ["dev", "lo", "nodad"] if ":" in bare else ["dev", "lo"]
        # Some (multicast, unspecified, mapped) are no addresses of a device.
        subprocess.run(["ip", "address", "add", bare, *device], check=False, capture_output=True)
    for target, text in {
        "resolv.conf": "nameserver 127.0.0.1\n",
        "nsswitch.conf": "hosts: dns\n",
    }.items():
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, f"/etc/{target}"], check=True)


async def _listen(web: Web) -> None:
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", 80))
    await asyncio.start_server(web.serve, sock=listener)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 53))


async def main() -> None:
    public, forbidden = json.loads(sys.stdin.read())
    _prepare(public + forbidden)
    web = Web({"/": answer(b"reached")})
    await _listen(web)
    answering = [text for text in forbidden if await _answers(text)]
    fetches = {}
    for url in _urls(public, forbidden, web):
        settings = Media(timeout_s=3, connect_timeout_s=1)
        fetcher = Fetcher(settings, system_lookup)
        web.reached.clear()
        try:
            await fetcher.fetch(url, "alice", Budget(1000), Spool(1000))
            outcome = "fetched"
        except InvalidMedia as error:
            outcome = error.message
        fetches[url] = [list(web.reached), outcome]
    print(json.dumps({"open": answering, "fetches": fetches}))


async def _answers(address: str) -> bool:
    try:
        async with asyncio.timeout(0.2):
            _, writer = await asyncio.open_connection(address, 80)
    except OSError:
        return False
    writer.close()
    return True


def _urls(public: list[str], forbidden: list[str], web: Web) -> list[str]:
    good = public[0]
    urls = [f"http://{name('a', text)}/" for text in public]
    urls += [f"http://[{text}]/" if ":" in text else f"http://{text}/" for text in forbidden]
    for text in (text for text in forbidden if "%" not in text):
        urls += [f"http://{name('a', text)}/", f"http://{name('both', good, text)}/"]
        # What is asked first is public; whoever looks the name up again connects elsewhere.
        urls.append(f"http://{name('rebind', good, text)}/")
        host = f"[{text}]" if isinstance(ip_address(text), IPv6Address) else text
        for number, to in enumerate((host, name("a", text))):
            path = f"/{number}/{text.replace(':', '.')}"
            web.paths[path] = redirect(f"http://{to}/")
            urls.append(f"http://{good}{path}")
    return urls


asyncio.run(main())
