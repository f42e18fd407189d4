"""Time zones by name."""

from gateway.zones import zone_of


def test_what_is_no_name_of_a_time_zone_gives_none():
    assert str(zone_of("Asia/Shanghai")) == "Asia/Shanghai"
    assert [zone_of(name) for name in ("Mars", "", "../etc/passwd", 5, None)] == [None] * 5
