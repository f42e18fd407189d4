"""Gemini, as the gateway calls it: credentials, retries, errors, the connection itself."""
