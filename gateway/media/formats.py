"""Determines the format of a media part from its bytes.

The client's declaration is only a hint: it names text formats and raw PCM, which have no signature,
and must not contradict the bytes in kind.
"""

from dataclasses import dataclass

from gateway.errors import InvalidMedia, UnsupportedMedia
from gateway.media.known_formats import ALLOWED, FORMATS, Format, format_named
from gateway.media.signatures import identify, is_text, textual
from gateway.protocols import Window


@dataclass(frozen=True, slots=True)
class Claim:
    """What the client declares about a media part, and what such a part may hold.

    *param* names the part in errors. *declared* is a MIME type, a bare format name, or empty.
    *served_as* is the type that the server of a URL named; it only distinguishes texts.
    """

    param: str
    kinds: tuple[str, ...]
    declared: str = ""
    filename: str = ""
    served_as: str = ""


def decide_format(window: Window, claim: Claim) -> Format:
    """Return the format of a part; its *mime* is never None.

    Raises `UnsupportedMedia` for a format that Gemini or this part does not accept, `InvalidMedia`
    (code `media_type_mismatch`) when the declared kind contradicts the bytes.
    """
    hint = format_named(claim.declared)
    detected = identify(window)
    if "text" in claim.kinds and not _is_document(detected) and is_text(window):
        return _text(claim)
    if hint is not None and hint.name == "pcm" and (detected is None or detected.name != "wav"):
        return hint
    if detected is None or detected.mime is None or detected.kind not in claim.kinds:
        raise _unsupported(detected or textual(window), claim)
    # Sound and video share containers and names.
    if hint is not None and {hint.kind, detected.kind} not in ({detected.kind}, {"audio", "video"}):
        raise InvalidMedia(
            f"This part is declared as {claim.declared[:80]!r}, but its bytes are {detected.name}."
            " Declare its real type, or omit the type.",
            param=claim.param,
            code="media_type_mismatch",
        )
    return detected


def _is_document(format_: Format | None) -> bool:
    """Tell whether *format_* is of a kind that may be text, unlike sound, images and video."""
    return format_ is not None and format_.mime is not None and format_.kind in {"document", "text"}


def _text(claim: Claim) -> Format:
    extension = claim.filename.rpartition(".")[2] if "." in claim.filename else ""
    for hint in map(format_named, (claim.declared, extension, claim.served_as)):
        if hint is not None and hint.kind == "text":
            return hint
    return FORMATS["txt"]


def _unsupported(detected: Format | None, claim: Claim) -> UnsupportedMedia:
    description = f"of the format {detected.name}" if detected else "of an unknown media format"
    hint = format_named(claim.declared)
    kind = (detected and detected.kind) or (hint and hint.kind)
    kinds = (kind,) if kind in claim.kinds else claim.kinds
    allowed = "; ".join(f"{kind}: {', '.join(ALLOWED[kind])}" for kind in kinds)
    return UnsupportedMedia(
        f"This part is {description}, which is not accepted here. Allowed formats: {allowed}.",
        param=claim.param,
    )
