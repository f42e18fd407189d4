"""The sources of an answer's statements: `url_citation` annotations over `content`.

Gemini counts UTF-8 bytes of the text that it wrote (of 71 recorded supports 67 match this way, none
only as characters, 4 are off by a byte); OpenAI counts code points of `content`, into which the
gateway also put code blocks and images. So a place is located in the written text first, checked
against the text that Gemini quotes, and then shifted.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import orjson

from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.exchange import Json

# The kinds of grounding chunks, each with the names of its address.
_ADDRESSES: dict[str, tuple[str, ...]] = {
    "web": ("uri",),
    "maps": ("uri",),
    "retrievedContext": ("uri", "documentName", "fileSearchStore"),
    "image": ("sourceUri", "imageUri"),
}
# The bytes of a character in UTF-8 after its first.
_FURTHER = bytes(range(0x80, 0xC0))
# Characters are counted from the beginning of a block, so that a place costs the same everywhere.
_BLOCK = 4_096
# For quoted texts that are elsewhere than Gemini says; few are. Further ones have no place.
_MAX_SEARCHED = 16 * 1_048_576
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

    __slots__ = ("_bytes", "_length", "_marks", "_searchable", "_shifts", "_starts")

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
        self._searchable = _MAX_SEARCHED
        blocks = (self._bytes[at : at + _BLOCK] for at in range(0, len(self._bytes), _BLOCK))
        self._marks = [*accumulate(map(_begun, blocks), initial=0)]

    def find(self, segment: Json) -> tuple[int, int] | None:
        """Return the place of *segment* in `content`, None if it is not there."""
        start, end = int(segment.get("startIndex") or 0), int(segment.get("endIndex") or 0)
        quoted = (segment.get("text") or "").encode()
        if quoted:
            if start < 0 or not self._bytes.startswith(quoted, start):
                start = self._nearest(quoted, start)
            end = start + len(quoted)
        if not 0 <= start < end <= len(self._bytes):
            return None
        first, last = self._characters(start), self._characters(end)
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
        self._searchable -= len(self._bytes)
        if self._searchable < 0:
            return -1
        after = self._bytes.find(quoted, max(wanted, 0))
        # Unlike `find`, `rfind` compares the whole of a long text at every place.
        reverse = self._bytes[: max(wanted, 0) + len(quoted)][::-1]
        behind = reverse.find(quoted[::-1])
        before = len(reverse) - behind - len(quoted) if behind >= 0 else -1
        places = [place for place in (before, after) if place >= 0]
        return min(places, key=lambda place: abs(place - wanted), default=-1)

    def _characters(self, at: int) -> int:
        """Count the whole characters before the byte *at*."""
        mark = at // _BLOCK
        count = self._marks[mark] + _begun(self._bytes[mark * _BLOCK : at])
        # The last one may go on.
        return count - (self._bytes[at : at + 1] in _FURTHER if at < len(self._bytes) else 0)

    def _moved(self, character: int) -> int:
        """Return the place of *character* of the written text in `content`."""
        return character + self._shifts[bisect_right(self._starts, character) - 1]


def _begun(text: bytes) -> int:
    """Count the characters that begin in *text*."""
    return len(text.translate(None, _FURTHER))
