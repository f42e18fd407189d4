"""The sources of an answer's statements: `url_citation` annotations over `content`.

Gemini counts UTF-8 bytes of the text that it wrote (of 71 recorded supports 67 match this way, none
only as characters, 4 are off by a byte); OpenAI counts code points of `content`, into which the
gateway also put code blocks and images. So a place is located in the written text first, checked
against the text that Gemini quotes, and then shifted.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from gateway.dialects.openai_chat.choice import Choice
from gateway.exchange import Json

# The kinds of grounding chunks, each with the names of its address.
_ADDRESSES: dict[str, tuple[str, ...]] = {
    "web": ("uri",),
    "maps": ("uri",),
    "retrievedContext": ("uri", "documentName", "fileSearchStore"),
    "image": ("sourceUri", "imageUri"),
}
_RETRIEVED = "URL_RETRIEVAL_STATUS_SUCCESS"


def annotations(choice: Choice) -> list[Json]:
    """Return the citations of a finished choice, in the order of Gemini's metadata."""
    written = _Written(choice)
    cited = [
        *_grounded(choice.grounding.get("groundingMetadata") or {}, written),
        *_cited(choice, written),
    ]
    known = {annotation["url_citation"]["url"] for annotation in cited}
    fetched = choice.grounding.get("urlContextMetadata") or {}
    for page in fetched.get("urlMetadata") or ():
        url = page.get("retrievedUrl")
        if page.get("urlRetrievalStatus") == _RETRIEVED and url and url not in known:
            cited.append(written.annotation(None, url, url))
    return cited


def keep_citations(choice: Choice, value: Any) -> None:
    """Note *value*, a `citationMetadata`; a stream repeats earlier ones."""
    orjson.dumps(value)
    for source in value.get("citationSources") or value.get("citations") or ():
        place = (source.get("startIndex"), source.get("endIndex"), source.get("uri"))
        choice.citations[place] = source


def grounding_noter(name: str) -> Callable[[Choice, Any], None]:
    """Return a function that notes the metadata *name*, which may come in pieces or repeatedly."""

    def keep(choice: Choice, value: Any) -> None:
        # What is nested too deeply to be sent is refused here, not when it is written.
        orjson.dumps(value)
        before = choice.grounding.get(name)
        choice.grounding[name] = value if before is None else _merged(before, value)

    return keep


def _merged(before: Json, value: Json) -> Json:
    """Return both metadata as one, without repetitions."""
    new = value.get("groundingChunks") or []
    chunks = _joined(before.get("groundingChunks") or [], new)
    if new and chunks != new:
        # The places named by its supports are those in its own list.
        supports = value.get("groundingSupports") or []
        value = {
            **value,
            "groundingSupports": [_renumbered(support, new, chunks) for support in supports],
        }
    merged = dict(before)
    for name, field in value.items():
        if isinstance(field, list):
            merged[name] = _joined(before.get(name) or [], field)
        elif field:
            merged[name] = field
    return merged


def _joined(before: list[Any], more: list[Any]) -> list[Any]:
    return before + [item for item in more if item not in before]


def _renumbered(support: Json, new: list[Any], chunks: list[Any]) -> Json:
    """Return *support*, which refers to chunks of *new*, as one that refers to *chunks*."""
    indices = support.get("groundingChunkIndices") or []
    places = [chunks.index(new[at]) if 0 <= at < len(new) else at for at in indices]
    return {**support, "groundingChunkIndices": places}


def _grounded(metadata: Json, written: "_Written") -> Iterator[Json]:
    sources = [_source(chunk) for chunk in metadata.get("groundingChunks") or ()]
    supports = metadata.get("groundingSupports") or ()
    for support in supports:
        place = written.find(support.get("segment") or {})
        for index in support.get("groundingChunkIndices") or ():
            if 0 <= index < len(sources):
                yield written.annotation(place, *sources[index])
    if not supports:
        for source in sources:
            yield written.annotation(None, *source)


def _source(chunk: Json) -> tuple[str, str]:
    """Return address and title of a grounding chunk of any kind."""
    for kind, names in _ADDRESSES.items():
        source = chunk.get(kind)
        if source:
            url = next((source[name] for name in names if source.get(name)), "")
            return url, source.get("title") or url
    return "", ""


def _cited(choice: Choice, written: "_Written") -> Iterator[Json]:
    for source in choice.citations.values():
        url = source.get("uri") or ""
        place = written.find(source) if source.get("endIndex") else None
        yield written.annotation(place, url, source.get("title") or url)


class _Written:
    """The text that Gemini wrote, and the place of its characters in `content`."""

    __slots__ = ("_bytes", "_length", "_shifts", "_starts")

    def __init__(self, choice: Choice) -> None:
        choice.end_run()
        texts = []
        # For each piece that Gemini wrote: its start in Gemini's text, and how far it was shifted.
        self._starts, self._shifts = [0], [0]
        start = inserted = 0
        for text, is_written in choice.pieces:
            if is_written:
                texts.append(text)
                self._starts.append(start)
                self._shifts.append(inserted)
                start += len(text)
            else:
                inserted += len(text)
        self._bytes = "".join(texts).encode()
        self._length = start + inserted

    def find(self, segment: Json) -> tuple[int, int] | None:
        """Return the place of *segment* in `content`, None if it is not there."""
        start, end = int(segment.get("startIndex") or 0), int(segment.get("endIndex") or 0)
        quoted = (segment.get("text") or "").encode()
        if quoted and self._bytes[start:end] != quoted:
            start = self._nearest(quoted, start)
            end = start + len(quoted)
        if not 0 <= start < end <= len(self._bytes):
            return None
        first = len(self._bytes[:start].decode(errors="ignore"))
        last = first + len(self._bytes[start:end].decode(errors="ignore"))
        # The end is one past the place of the last cited character.
        return self._moved(first), self._moved(max(first, last - 1)) + 1

    def annotation(self, place: tuple[int, int] | None, url: Any, title: Any) -> Json:
        """Return the annotation of *place*, or of all the content if there is none."""
        if not isinstance(url, str) or not isinstance(title, str):
            raise TypeError("addresses and titles of sources are strings")
        start, end = place or (0, self._length)
        cited = {"start_index": start, "end_index": end, "url": url, "title": title}
        return {"type": "url_citation", "url_citation": cited}

    def _nearest(self, quoted: bytes, wanted: int) -> int:
        """Return where *quoted* begins nearest to *wanted*, -1 if nowhere."""
        after = self._bytes.find(quoted, max(wanted, 0))
        before = self._bytes.rfind(quoted, 0, max(wanted, 0) + len(quoted))
        places = [place for place in (before, after) if place >= 0]
        return min(places, key=lambda place: abs(place - wanted), default=-1)

    def _moved(self, character: int) -> int:
        """Return the place of *character* of the written text in `content`."""
        return character + self._shifts[bisect_right(self._starts, character) - 1]
