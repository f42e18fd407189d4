"""The ledger: one row for each request, written in the background.

`ledger` takes a `row` and writes it by `writer`, or by `stream` where machines share a state
server; `spill` holds what cannot be written now. `report` sums rows up, `seeding` continues quotas
from them after a start, `pruning` deletes old ones. The tables are in `gateway.database`.
"""
