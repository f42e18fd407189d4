"""Licenses and the usage ledger in SQLite or PostgreSQL; never in the path of a request.

What is read and written is decided in `gateway.licenses` and `gateway.ledger`.
"""
