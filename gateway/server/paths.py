"""Normalises paths before routing, as not every client follows a redirect."""

import re
from dataclasses import dataclass

SLASHES = re.compile("/{2,}")
ALIASES = ("/v1/", "/v1beta/")


@dataclass(frozen=True, slots=True)
class Paths:
    """How paths are normalised: with *aliases* bare `/v1` and `/v1beta` lead to *prefix*, too."""

    prefix: str
    aliases: bool

    def normalised(self, target: str) -> str:
        """Return the request target with `//` collapsed and one trailing slash removed."""
        path, question, query = target.partition("?")
        if not path.startswith("/"):
            return target
        if "//" in path:
            path = SLASHES.sub("/", path)
        if len(path) > 1:
            path = path.removesuffix("/")
        if self.aliases and f"{path}/".startswith(ALIASES):
            path = self.prefix + path
        return f"{path}{question}{query}"
