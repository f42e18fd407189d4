"""State shared by processes and machines: the counters of the licenses, and what was learned.

`store` is the interface, `memory` and `valkey` are its two implementations, `rules` and `calendar`
hold what both must count alike.
"""
