"""Who may ask: license keys by their digests, in memory, wherever they come from."""
