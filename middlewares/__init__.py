"""The middlewares that ship with the gateway, one per module, independent of one another.

A middleware is an ordinary aiohttp middleware: a callable `(request, handler)`. As a class it takes
its own `Options` from its table in `config.toml`, declares with `requires` and `provides` which
fields of the `Exchange` it reads and fills, and may hold resources in `lifespan(app)`. It acts
before the reply begins and, by `finally` around `handler(request)`, after the last byte; it never
sees a chunk.
"""
