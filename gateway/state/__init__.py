"""What processes and machines share: the counters of the licenses, and small things learned.

`store` says what a binding offers, `memory` and `valkey` are the two bindings, `rules` and
`calendar` hold what both must count alike.
"""
