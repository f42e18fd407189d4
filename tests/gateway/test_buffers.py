import pytest

from gateway.buffers import ALWAYS_HELD_BYTES, Buffers, Share
from gateway.errors import Unavailable

MB = 1_000_000
LARGE = 10 * MB
MOST = 100 * MB


def fill(buffers: Buffers, license_id: str) -> list[Share]:
    """Hold large requests of *license_id* until one is refused."""
    shares = []
    while True:
        share = Share(license_id)
        try:
            buffers.hold(share, LARGE)
        except Unavailable:
            return shares
        shares.append(share)


def test_alone_a_license_takes_four_fifths_and_the_next_ones_find_room():
    buffers = Buffers(MOST)
    alice = fill(buffers, "alice")
    assert len(alice) == 8
    # Of the 20 MB left a license may take one request, and another only as it leaves enough.
    assert [len(fill(buffers, name)) for name in ("bob", "carol", "dave")] == [1, 1, 0]
    assert buffers.size == MOST
    for share in alice:
        buffers.release(share)
    assert len(fill(buffers, "dave")) >= 4


def test_the_only_large_request_of_a_license_may_take_everything():
    buffers = Buffers(MOST)
    share = Share("alice")
    for _ in range(10):
        buffers.hold(share, LARGE)
    with pytest.raises(Unavailable, match="Too many large requests at once") as caught:
        buffers.hold(share, 1)
    assert share.size == buffers.size == MOST
    assert caught.value.retry_after == 1.0


def test_the_error_says_whose_requests_are_too_many():
    buffers = Buffers(MOST)
    buffers.hold(Share("alice"), 70 * MB)
    with pytest.raises(Unavailable, match="of this license"):
        buffers.hold(Share("alice"), 20 * MB)


def test_small_requests_are_served_whatever_the_large_ones_take_and_do_not_count_as_others():
    buffers = Buffers(MOST)
    small = [Share("alice") for _ in range(1_000)]
    for share in small:
        buffers.hold(share, ALWAYS_HELD_BYTES)
    buffers.hold(Share("alice"), MOST - buffers.size)
    buffers.hold(Share("alice"), ALWAYS_HELD_BYTES)
    assert buffers.size > MOST
    with pytest.raises(Unavailable):
        buffers.hold(small[0], 1)


def test_what_is_freed_in_parts_or_twice_is_free_again():
    buffers = Buffers(MOST)
    share = Share("alice")
    buffers.hold(share, 60 * MB)
    buffers.hold(share, -59 * MB)
    buffers.hold(share, -990_000)
    assert (share.size, buffers.size) == (10_000, 10_000)
    buffers.release(share)
    buffers.release(share)
    assert buffers.size == 0
    assert len(fill(buffers, "alice")) == 8
