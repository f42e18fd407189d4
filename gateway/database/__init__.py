"""Licenses and the usage ledger in SQLite or PostgreSQL; never on the way of a request."""
