"""The promises on many licenses, per thousand and with room for a busy machine."""

from benchmarks.licenses import measure


async def test_a_thousand_licenses_are_quick_to_load_and_small(tmp_path):
    found = await measure(tmp_path, 1_000)
    assert found.load_s < 1
    assert found.lookup_s < 20e-6
    assert found.held_bytes < 3_000_000
