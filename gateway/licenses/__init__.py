"""Licenses: keys by their digests, in memory, wherever they come from."""
