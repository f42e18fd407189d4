"""Which project owns the cached content and the files that requests name.

A project is the `scope` of its credentials. Owners are learned only where one project lacked what
another has, so that with one project nothing is ever looked up.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from gateway.exchange import Json, UpstreamCall

KEEP_S: Final = 86_400.0
MAX_OWNED: Final = 4_096


class Owners:
    """The known owners. *clock* returns monotonic seconds."""

    __slots__ = ("_clock", "_owners", "_publish")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._owners: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._publish: Callable[[str, bytes, float], None] | None = None

    def share(self, publish: Callable[[str, bytes, float], None]) -> None:
        """From now on tell the other processes by *publish* what is learned."""
        self._publish = publish

    def hear(self, name: str, value: bytes, left_s: float) -> None:
        """Apply what another process learned; an empty *value* revokes it."""
        if value:
            self._note(name, value.decode(), left_s)
        else:
            self._owners.pop(name, None)

    def of(self, name: str) -> str | None:
        """Return the project that has *name*, None if unknown."""
        owner, until = self._owners.get(name, (None, 0.0))
        return owner if until > self._clock() else None

    def of_call(self, call: UpstreamCall) -> str | None:
        """Return the project that has what *call* names, None if unknown."""
        if not self._owners:
            return None
        return next((owner for name in _names_in(call.body) if (owner := self.of(name))), None)

    def learn(self, call: UpstreamCall, project: str) -> None:
        """Remember that *project* has all that *call* names."""
        for name in _names_in(call.body):
            self.note(name, project)

    def note(self, name: str, project: str) -> None:
        """Remember that *project* has *name*."""
        self._note(name, project, KEEP_S)
        if self._publish is not None:
            self._publish(name, project.encode(), KEEP_S)

    def forget(self, call: UpstreamCall) -> None:
        """Forget who owns what *call* names: it is not there any more."""
        for name in _names_in(call.body):
            if self._owners.pop(name, None) is not None and self._publish is not None:
                self._publish(name, b"", KEEP_S)

    def _note(self, name: str, owner: str, left_s: float) -> None:
        self._owners[name] = owner, self._clock() + left_s
        self._owners.move_to_end(name)
        if len(self._owners) > MAX_OWNED:
            self._owners.popitem(last=False)


def _names_in(body: Json) -> Iterator[str]:
    """Yield the names of cached content and files in *body*, which may be a client's own."""
    body = _either(body, "generateContentRequest", "generate_content_request") or body
    cached = _either(body, "cachedContent", "cached_content")
    if isinstance(cached, str):
        yield cached
    for content in _list(_either(body, "contents")):
        for part in _list(_either(content, "parts")):
            uri = _either(_either(part, "fileData", "file_data"), "fileUri", "file_uri")
            if isinstance(uri, str):
                yield uri


def _either(holder: Any, *spellings: str) -> Any:
    """Return the field of *holder* under the first of its *spellings* that is present."""
    if not isinstance(holder, dict):
        return None
    return next((holder[name] for name in spellings if holder.get(name)), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
