"""Media inside the payload: data URLs and bare base64, checked without decoding them whole.

Right base64 (standard alphabet, padded, no line breaks) is passed on as the very same string.
The rest is repaired: URL alphabet, percent signs, white space, missing padding. All work goes in
steps of `STEP` characters: a caller's thread gives the interpreter lock back between two steps.
"""

import binascii
from base64 import b64encode
from urllib.parse import unquote, unquote_to_bytes

from gateway.errors import InvalidMedia
from gateway.exchange import Blob
from gateway.media.formats import Claim, settle
from gateway.media.wav import pcm_header

STEP = 1_048_576

_HEADER_CHARACTERS = 1024
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class Base64Window:
    """The bytes of right base64 *text*, decoded slice by slice."""

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


def split(text: str) -> tuple[str, str]:
    """Split a data URL into its media type and the base64 after it; bare base64 has no type.

    Raises `InvalidMedia` when the URL has no comma. Data that is not base64 is made so.
    """
    if text[:1].isspace():
        text = text.lstrip()
    if text[:5].lower() != "data:":
        return "", text
    comma = text.find(",", 0, _HEADER_CHARACTERS)
    if comma < 0:
        raise InvalidMedia(
            "This data URL has no comma after its media type.", code="invalid_base64"
        )
    header = text[5:comma].strip()
    if header[-7:].lower() == ";base64":
        return header[:-7], text[comma + 1 :]
    return header, b64encode(unquote_to_bytes(text[comma + 1 :])).decode()


def standard(text: str) -> str:
    """Give *text* as right base64: the same string when it is already.

    Raises `InvalidMedia`: code `empty_media` or `invalid_base64`.
    """
    if not _is_right(text):
        text = _repair(text)
        if not _is_right(text):
            raise InvalidMedia("This is not valid base64.", code="invalid_base64")
    if not text:
        raise InvalidMedia("This media part is empty.", code="empty_media")
    return text


def to_blob(text: str, claim: Claim, max_bytes: int) -> Blob:
    """Check a data URL or bare base64 and give it in Gemini's form.

    The type in a data URL goes before *claim.declared*. Raises `InvalidMedia` and
    `UnsupportedMedia`, both with *claim.param*.
    """
    try:
        declared, data = split(text)
        check_size(len(data) * 3 // 4, max_bytes)
        data = standard(data)
    except InvalidMedia as error:
        error.param = claim.param
        raise
    if declared:
        claim = Claim(claim.param, claim.kinds, declared, claim.filename)
    window = Base64Window(data)
    found = settle(window, claim)
    if found.name == "pcm":
        data = b64encode(pcm_header(len(window), claim.declared)).decode() + data
    return Blob(found.mime, data)


def check_size(size: int, max_bytes: int) -> None:
    """Raise `InvalidMedia` (code `media_too_large`) for more than *max_bytes* bytes."""
    if size > max_bytes:
        raise InvalidMedia(
            f"This media item is larger than the limit of {max_bytes} bytes.",
            code="media_too_large",
        )


def _is_right(text: str) -> bool:
    padding = len(text) - 2
    if len(text) % 4 or not text.isascii() or text.find("=", 0, max(padding, 0)) >= 0:
        return False
    try:
        for at in range(0, len(text), STEP):
            binascii.a2b_base64(text[at : at + STEP], strict_mode=True)
    except binascii.Error:
        return False
    return True


def _repair(text: str) -> str:
    if "%" in text:
        text = unquote(text)
    try:
        pieces = [
            text[at : at + STEP].encode("ascii").translate(_TO_STANDARD, b" \t\r\n\f\v")
            for at in range(0, len(text), STEP)
        ]
    except UnicodeEncodeError:
        raise InvalidMedia("This is not valid base64.", code="invalid_base64") from None
    clean = b"".join(pieces).rstrip(b"=")
    return (clean + b"=" * (-len(clean) % 4)).decode("ascii")
