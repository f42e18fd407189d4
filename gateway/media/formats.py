"""Which format a media part has. Its bytes decide.

What the client declares is only a hint: it names text formats, which have no signature, it tells
raw PCM, and it may not contradict the bytes in kind.
"""

from dataclasses import dataclass

from gateway.errors import InvalidMedia, UnsupportedMedia
from gateway.media.containers import Window
from gateway.media.known_formats import ALLOWED, FORMATS, Format, named
from gateway.media.signatures import identify, is_text, textual


@dataclass(frozen=True, slots=True)
class Claim:
    """What the client says of one media part, and what such a part may hold.

    *param* names the part in errors. *declared* is a MIME type, a bare format name, or empty.
    *served_as* is the type that the server of a URL named; it only tells one text from another.
    """

    param: str
    kinds: tuple[str, ...]
    declared: str = ""
    filename: str = ""
    served_as: str = ""


def settle(window: Window, claim: Claim) -> Format:
    """Decide the format of a part; its *mime* is never None.

    Raises `UnsupportedMedia` for a format that Gemini or this part does not take, `InvalidMedia`
    (code `media_type_mismatch`) when the declared kind contradicts the bytes.
    """
    hint = named(claim.declared)
    found = identify(window)
    if "text" in claim.kinds and not _is_document(found) and is_text(window):
        return _text(claim)
    if hint is not None and hint.name == "pcm" and (found is None or found.name != "wav"):
        return hint
    if found is None or found.mime is None or found.kind not in claim.kinds:
        raise _unsupported(found or textual(window), claim)
    # Sound and video share containers and names.
    if hint is not None and {hint.kind, found.kind} not in ({found.kind}, {"audio", "video"}):
        raise InvalidMedia(
            f"This part is declared as {claim.declared[:80]!r}, but its bytes are {found.name}."
            " Declare what it is, or leave the type out.",
            param=claim.param,
            code="media_type_mismatch",
        )
    return found


def _is_document(found: Format | None) -> bool:
    """Tell whether *found* is of the formats that may be text: no sound, image or video is."""
    return found is not None and found.mime is not None and found.kind in {"document", "text"}


def _text(claim: Claim) -> Format:
    extension = claim.filename.rpartition(".")[2] if "." in claim.filename else ""
    for hint in map(named, (claim.declared, extension, claim.served_as)):
        if hint is not None and hint.kind == "text":
            return hint
    return FORMATS["txt"]


def _unsupported(found: Format | None, claim: Claim) -> UnsupportedMedia:
    what = f"of the format {found.name}" if found else "of no known media format"
    hint = named(claim.declared)
    kind = (found and found.kind) or (hint and hint.kind)
    kinds = (kind,) if kind in claim.kinds else claim.kinds
    allowed = "; ".join(f"{kind}: {', '.join(ALLOWED[kind])}" for kind in kinds)
    return UnsupportedMedia(
        f"This part is {what}, which is not accepted here. Allowed formats: {allowed}.",
        param=claim.param,
    )
