"""Server-sent events, read and written.

Reading must survive any split of the bytes and lines of megabytes (an image is one line of base64),
in time linear in what was read. So the whole events of a read, the common case, are split without
looking at lines; everything else goes line by line, and an unfinished line is kept as a list of
pieces that are never searched again.

Beyond the standard (https://html.spec.whatwg.org/multipage/server-sent-events.html), bare JSON in
the stream is an event, too: Gemini's front ends report a failure in mid-stream by an error body
without `data:`.
"""

import orjson

from gateway.errors import UpstreamError, UpstreamTruncated

_BOM = b"\xef\xbb\xbf"
_EVENT_END = b"\r\n\r\n"
_BETWEEN = b"\r\n\r\ndata: "
_JSON_STARTS = (b"{", b"[")


def frame(payload: bytes) -> bytes:
    """Return *payload*, one line of JSON, as an event."""
    return b"data: %b\n\n" % payload


class SSEDecoder:
    """Splits a stream of bytes into the data of its events.

    *max_event_bytes* limits what is kept of an unfinished event.
    """

    __slots__ = ("_bare", "_data", "_kept", "_line", "_max_event_bytes", "_skip_lf", "_started")

    def __init__(self, max_event_bytes: int = 67_108_864) -> None:
        self._max_event_bytes = max_event_bytes
        # Pieces of the unfinished line, lines of the unfinished event, lines of bare JSON.
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._bare: list[bytes] = []
        self._kept = 0
        self._skip_lf = False
        self._started = False

    @property
    def unfinished_bytes(self) -> int:
        """Count what is kept of an unfinished event."""
        return self._kept

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of every event that *data* completes.

        Raises `UpstreamError` when an event grows beyond the limit.
        """
        if not self._kept:
            return self._feed_events(data)
        # A split event ends with the first blank line; the events behind it are whole again.
        end = data.find(_EVENT_END) + len(_EVENT_END)
        if end < len(_EVENT_END):
            return self._feed_lines(data)
        return self._feed_lines(data[:end]) + self._feed_events(data[end:])

    def finish(self) -> list[bytes]:
        """Return what the end of the stream completes: an event without its blank line.

        Raises `UpstreamTruncated` when the stream ended within an event.
        """
        events: list[bytes] = []
        if self._line:
            self._end_line(events)
        self._dispatch(events)
        try:
            for event in events:
                orjson.loads(event)
        except orjson.JSONDecodeError as error:
            raise UpstreamTruncated("Gemini's stream ended within an event.") from error
        return events

    def _feed_events(self, data: bytes) -> list[bytes]:
        """Split *data*, which begins with an event, in one go if all are whole one-line events."""
        at = len(data) - len(_EVENT_END)
        if data.find(b"\r") == at and data.find(b"\n") == at + 1 and data.startswith(b"data: "):
            # One event with one line, as in most reads of a stream.
            if at > len(b"data: ") and data.endswith(_EVENT_END):
                self._started = True
                self._skip_lf = False
                return [data[6:at]]
            return self._feed_lines(data)
        end = data.rfind(_EVENT_END) + len(_EVENT_END)
        whole = data if end == len(data) else data[:end]
        if not (whole.startswith(b"data: ") and whole.endswith(_EVENT_END)):
            return self._feed_lines(data)
        events = whole[6:-4].split(_BETWEEN)
        ends = 2 * len(events)
        # Another line end would be part of some event, and an empty event is none.
        if whole.count(b"\n") != ends or whole.count(b"\r") != ends or b"" in events:
            return self._feed_lines(data)
        self._started = True
        self._skip_lf = False
        return events if end == len(data) else events + self._feed_lines(data[end:])

    def _feed_lines(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        # A CR before it may have been the first half of a split line end.
        lines = data.removeprefix(b"\n") if self._skip_lf else data
        self._skip_lf = data.endswith(b"\r")
        events: list[bytes] = []
        for piece in lines.splitlines(keepends=True):
            self._keep(len(piece))
            text = piece.rstrip(b"\r\n")
            self._line.append(text)
            if len(text) < len(piece):
                self._end_line(events)
        return events

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._kept > self._max_event_bytes:
            raise UpstreamError("Gemini sent an event that is larger than this gateway relays.")

    def _end_line(self, events: list[bytes]) -> None:
        line = self._line[0] if len(self._line) == 1 else b"".join(self._line)
        self._line.clear()
        if not self._started:
            line = line.removeprefix(_BOM)
            self._started = True
        if line.startswith(b"data:"):
            self._end_bare(events)
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif not line:
            self._dispatch(events)
        elif self._bare or line.lstrip().startswith(_JSON_STARTS):
            self._bare.append(line)
        elif not self._data:
            # After a comment or an unknown field nothing is kept.
            self._kept = 0

    def _dispatch(self, events: list[bytes]) -> None:
        self._end_bare(events)
        payload = b"\n".join(self._data)
        self._data.clear()
        if payload:
            events.append(payload)
        self._kept = 0

    def _end_bare(self, events: list[bytes]) -> None:
        if self._bare:
            events.append(b"\n".join(self._bare))
            self._bare.clear()
