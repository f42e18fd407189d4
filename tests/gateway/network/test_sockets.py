import socket

import pytest

from gateway.network.socket_buffers import SEND_BUFFER_BYTES
from gateway.network.sockets import (
    DEAD_AFTER_S,
    StartError,
    base_urls,
    listen,
    upstream_socket,
)


@pytest.fixture
def taken_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_a_taken_port_is_told(taken_port):
    with pytest.raises(
        StartError, match=f"cannot listen on 127.0.0.1 port {taken_port}: Address alr"
    ):
        listen("127.0.0.1", taken_port)


def test_a_host_that_is_not_here_is_told():
    with pytest.raises(StartError, match=r"cannot listen on no-such-host\.invalid port 1: "):
        listen("no-such-host.invalid", 1)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b"])
def test_a_host_that_can_be_none_is_told(host):
    with pytest.raises(StartError, match="port 1: not the name of a host"):
        listen(host, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_all_addresses_of_a_host_share_one_port(host):
    try:
        sockets = listen(host, 0)
    except StartError as error:
        pytest.skip(f"this machine has no such address: {error}")
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        for url in base_urls(sockets, "/gemini"):
            assert url.startswith(("http://127.0.0.1:", "http://[::1]:"))
            assert url.endswith("/gemini")
    finally:
        for sock in sockets:
            sock.close()


def test_the_kernel_holds_little_for_clients_that_do_not_read():
    (sock,) = listen("127.0.0.1", 0)
    with sock:
        # Linux doubles what it is asked for.
        size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert SEND_BUFFER_BYTES <= size <= 2 * SEND_BUFFER_BYTES


def watched_s(sock: socket.socket) -> float:
    """Return the seconds after which *sock* breaks when its peer says nothing."""
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    first_s, each_s, times = (
        sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    )
    assert first_s + each_s * times == DEAD_AFTER_S
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_a_peer_that_is_gone_is_noticed():
    with upstream_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))) as sock:
        assert watched_s(sock) == DEAD_AFTER_S
    for configured_s, limit_s in ((0.1, DEAD_AFTER_S), (90.0, 90.0), (1e9, 2**31 / 1000)):
        (sock,) = listen("127.0.0.1", 0, configured_s)
        with sock, socket.create_connection(sock.getsockname()), sock.accept()[0] as accepted:
            assert watched_s(accepted) == pytest.approx(limit_s)
