"""Credentials for the Files API come from the pool and are no load on it."""

import pytest

from gateway.errors import UpstreamAuth
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.files import FilesCredentials


async def test_the_owner_of_a_file_is_lent_again(gemini):
    upstream = await gemini("http://upstream", keys=("key-1", "key-2"))
    files = FilesCredentials(upstream)
    assert files.base_url == "http://upstream"
    for _ in range(3):
        lease = files.lease("c2", ())
        assert (lease.credential, lease.key) == ("c2", "key-2")
    assert "key-2" not in repr(lease)
    assert [one.leases for one in upstream.pool.credentials] == [0, 0]


async def test_another_one_is_lent_when_the_owner_cannot_be_used(gemini):
    upstream = await gemini("http://upstream", keys=("key-1", "key-2"))
    files = FilesCredentials(upstream)
    upstream.pool.report(upstream.pool.credentials[1], "", Fault(Kind.KEY_DEAD, UpstreamAuth("x")))
    assert files.lease("c2", ()).credential == "c1"
    assert files.lease(None, ()).credential == "c1"
    with pytest.raises(UpstreamAuth):
        files.lease(None, ("c1",))
