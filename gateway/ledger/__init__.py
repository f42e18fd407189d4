"""The ledger: one row for each request, written in the background."""
