"""Licenses and the usage ledger in SQLite or PostgreSQL; never in the path of a request."""
