"""The routes beside chat completions and embeddings, which `gateway.relay` handles by itself.

They are models, usage, Gemini's own API, health, and metrics on a port of their own.
"""
