"""The keys under which the application holds what its routes serve."""

from aiohttp import web

from gateway.simulator.files import Files
from gateway.simulator.models import Model

# The models by name.
MODEL_TABLE: web.AppKey[dict[str, Model]] = web.AppKey("model_table")
FILES: web.AppKey[Files] = web.AppKey("files")
# The key that each cached content belongs to, None for any.
CACHES: web.AppKey[dict[str, str | None]] = web.AppKey("caches")
