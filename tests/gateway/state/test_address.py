"""Addresses of state servers."""

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from gateway.state.address import library_clients


def redis_of(url):
    return library_clients(url, 1.0)[0]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://localhost:6379/1", Redis),
        ("rediss://user:word@localhost", Redis),
        ("unix:///run/valkey.sock?db=3", Redis),
        ("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=%2Fx&client_name=me&max_connections=9", Redis),
        ("redis+cluster://localhost:7000", RedisCluster),
        ("rediss+cluster://localhost:7000", RedisCluster),
    ],
)
def test_the_scheme_decides_how_to_connect(url, kind):
    assert type(redis_of(url)) is kind


def test_sentinels_are_asked_for_the_master():
    pool = redis_of("redis+sentinel://me:w%40rd@one:1111,two/orders").connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "orders"
    sentinels = [
        sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels
    ]
    assert [(one["host"], one["port"]) for one in sentinels] == [("one", 1111), ("two", 26379)]
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == (
        "me",
        "w@rd",
    )


def test_a_sentinels_address_may_be_of_any_kind_and_the_server_have_tls_and_a_database():
    pool = redis_of("rediss+sentinel://[::1]:1111,h/orders/3").connection_pool
    sentinels = [
        sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels
    ]
    assert [(one["host"], one["port"]) for one in sentinels] == [("::1", 1111), ("h", 26379)]
    assert pool.connection_kwargs["db"] == 3
    assert "Ssl" in pool.connection_class.__name__ or "SSL" in pool.connection_class.__name__


def test_sentinels_may_want_a_password_of_their_own():
    url = "redis+sentinel://me:w@one,two/orders?sentinel_username=you&sentinel_password=%26%2B+"
    pool = redis_of(url).connection_pool
    for sentinel in pool.sentinel_manager.sentinels:
        kwargs = sentinel.connection_pool.connection_kwargs
        assert (kwargs["username"], kwargs["password"]) == ("you", "&++")
    assert pool.connection_kwargs["password"] == "w"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel:///orders",
        "redis+sentinel://h:port/orders",
        "redis+sentinel://h/orders/x",
        "redis+sentinel://h/orders?password=word",
        "redis://h:port",
        "redis://h?foo=bar",
        "unix:///x?foo=bar",
        "redis+cluster://h?foo=bar",
        "redis+cluster://",
        "rediss://h?ssl_cert_reqs=some",
        "redis://h?retry=5",
    ],
)
def test_an_address_that_cannot_be_is_refused(url):
    with pytest.raises(ValueError):
        library_clients(url, 1.0)


@pytest.mark.parametrize(
    "url",
    ["http://localhost", "localhost:6379", "", "redis+other://x", "redis:h:6379", "unix:/run/x"],
)
def test_other_schemes_are_refused_with_the_known_ones(url):
    with pytest.raises(ValueError, match=r"redis://, rediss://, unix://"):
        library_clients(url, 1.0)
