"""Media inside the payload: data URLs and bare base64, checked without decoding all of it.

Valid base64 (standard alphabet, padded, no line breaks) is passed on as the very same string. The
rest is repaired: URL alphabet, percent signs, white space, missing padding. All work goes in steps
of `STEP` characters: a thread releases the interpreter lock between two steps.
"""

import binascii
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from string import ascii_letters, digits
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidMedia
from gateway.exchange import Blob
from gateway.media.formats import Claim, decide_format
from gateway.media.known_formats import format_named
from gateway.media.signatures import identify
from gateway.media.wav import pcm_header

STEP = 1_048_576

_HEAD_CHARACTERS = 1024
_MAX_PLAIN = 1_048_576
# No image needs more bytes to be recognised, and no walk through boxes is longer.
_IMAGE_HEAD = 684
_BROKEN = "invalid_base64"
_NOT_BASE64 = "This is neither a URL with a scheme, such as https://..., nor valid base64."
_ALPHABET = (ascii_letters + digits + "+/").encode()
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n\f\v"
_ESCAPES = {"%2B": "+", "%2F": "/", "%3D": "=", "%0A": "", "%0D": "", "%20": ""}


class Base64Window:
    """The bytes of valid base64 *text*, decoded slice by slice."""

    __slots__ = ("_length", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._length = len(text) // 4 * 3 - text[-2:].count("=")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._length)
        first = start // 3
        text = self._text[first * 4 : -(-stop // 3) * 4]
        return binascii.a2b_base64(text)[start - first * 3 : stop - first * 3]


def head(text: str) -> tuple[str, int, bool]:
    """Parse the head of a data URL: its media type, the start of the data, whether it is base64.

    Bare base64 has no head. Raises `InvalidMedia` when the URL has no comma.
    """
    start = len(text) - len(text.lstrip()) if text[:1].isspace() else 0
    if text[start : start + 5].lower() != "data:":
        return "", 0, True
    comma = text.find(",", start, start + _HEAD_CHARACTERS)
    if comma < 0:
        raise InvalidMedia("This data URL has no comma after its media type.", code=_BROKEN)
    declared = text[start + 5 : comma].strip()
    kind, *parameters = declared.split(";")
    # Clients put "base64" anywhere among them, not only at the end, and with blanks around it.
    others = [parameter for parameter in parameters if parameter.strip().lower() != "base64"]
    return ";".join((kind, *others)), comma + 1, len(others) < len(parameters)


def standard(text: str, start: int = 0) -> str:
    """Return *text* from *start* on as standard base64: the same string if it already is.

    Raises `InvalidMedia`: code `empty_media` or `invalid_base64`.
    """
    if not _is_standard(text, start):
        text, start = _repair(text, start), 0
        if not _is_standard(text, 0):
            raise InvalidMedia(_NOT_BASE64, code=_BROKEN)
    if len(text) == start:
        raise InvalidMedia("This media part is empty.", code="empty_media")
    return text[start:]


def to_blob(text: str, claim: Claim, max_bytes: int) -> Blob:
    """Check a data URL or bare base64 and return it in Gemini's form.

    The type in a data URL takes precedence over *claim.declared*. Raises `InvalidMedia` and
    `UnsupportedMedia`, both with *claim.param*.
    """
    try:
        declared, start, is_base64 = head(text)
        if not is_base64:
            # Unquoting takes fifty times the size in memory: this limit is enough for any text.
            check_size(len(text) - start, _MAX_PLAIN)
            text, start = b64encode(unquote_to_bytes(text[start:])).decode(), 0
        data = standard(text, start)
        window = Base64Window(data)
        # The limit is on the bytes themselves: line breaks and padding do not count.
        check_size(len(window), max_bytes)
    except InvalidMedia as error:
        error.param = claim.param
        raise
    if declared:
        claim = replace(claim, declared=declared)
    format_ = decide_format(window, claim)
    if format_.name == "pcm":
        data = b64encode(pcm_header(len(window), claim.declared)).decode() + data
    return Blob(format_.mime, data)


def image(url: str) -> Blob | None:
    """Return the image of a data URL that this gateway sent in an answer; None for all else.

    Only its first bytes are examined; without a signature the declared type counts. All of it must
    be standard base64: models write `data:image/png;base64,...` in explanations.
    """
    try:
        declared, start, is_base64 = head(url)
        data = url[start:].strip()
        format_ = identify(Base64Window(data[:_IMAGE_HEAD])) or format_named(declared)
    except (InvalidMedia, ValueError):
        return None
    if not (is_base64 and data and format_) or format_.kind != "image" or format_.mime is None:
        return None
    return Blob(format_.mime, data) if _is_standard(data, 0) else None


def check_size(size: int, max_bytes: int) -> None:
    """Raise `InvalidMedia` (code `media_too_large`) for more than *max_bytes* bytes."""
    if size > max_bytes:
        raise InvalidMedia(
            f"This media item is larger than the limit of {max_bytes} bytes.",
            code="media_too_large",
        )


def _is_standard(text: str, start: int) -> bool:
    if (len(text) - start) % 4 or not text.isascii():
        return False
    last = len(text) - text.count("=", max(len(text) - 2, start))
    # Searching for characters outside the alphabet takes a fifth of the time of decoding.
    return not any(
        text[at : min(at + STEP, last)].encode().translate(None, _ALPHABET)
        for at in range(start, last, STEP)
    )


def _repair(text: str, start: int) -> str:
    try:
        pieces = [_repaired(piece) for piece in _steps(text, start)]
    except UnicodeEncodeError:
        raise InvalidMedia(_NOT_BASE64, code=_BROKEN) from None
    while pieces and not (last := pieces.pop().rstrip("=")):
        continue
    size = sum(map(len, pieces)) + len(last)
    return "".join([*pieces, last, "=" * (-size % 4)])


def _steps(text: str, start: int) -> Iterator[str]:
    """Yield *text* from *start* on in pieces of about `STEP`; none ends within an escape."""
    while start < len(text):
        end = start + STEP
        escape = text.rfind("%", end - 2, end)
        if escape >= 0:
            end = escape
        yield text[start:end]
        start = end


def _repaired(piece: str) -> str:
    if "%" in piece:
        for escape, character in _ESCAPES.items():
            piece = piece.replace(escape, character).replace(escape.lower(), character)
    return piece.encode("ascii").translate(_TO_STANDARD, _SPACE).decode("ascii")
