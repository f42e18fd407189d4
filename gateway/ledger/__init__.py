"""The ledger: one row for each request, written behind its back."""
