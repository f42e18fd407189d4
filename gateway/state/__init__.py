"""State shared by processes and machines: the counters of the licenses, and what was learned.

`store` is the interface. `memory`, `valkey` and `embedded_store` count alike, by `rules` and
`calendar`; `guarded` keeps the latter two usable while their server is down.
"""
