"""Addresses that Gemini reads by itself: its own files, Cloud Storage, YouTube."""

import re
from urllib.parse import urlsplit

from gateway.errors import InvalidMedia
from gateway.exchange import Blob
from gateway.media.known_formats import format_named

_GOOGLE = "https://generativelanguage.googleapis.com"
_FILE_NAME = re.compile(r"(?:files/)?([a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?)")
_FILE_URI = re.compile(r"/v1(?:beta|alpha)?/files/([a-z0-9-]{1,64})/?(?:\?.*)?")
# Whatever the host: behind a proxy Gemini names its own.
_HOME = re.compile(r"https?://[^/?#]+/(?:[^?#]+/)?v1beta/files/[^/?#]+")
_STORAGE = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}/[^\x00-\x1f]+")
_YOUTUBE_HOSTS = frozenset(
    {"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "youtu.be"}
)
# Characters that no address contains; `urlsplit` ignores some of them.
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")
_YOUTUBE_PATH = re.compile(r"/(?:watch|(?:shorts|live|embed|v)/[\w-]+|[\w-]{11})/?")


def reference(text: str, base_url: str) -> Blob | None:
    """Return the blob for an address that Gemini reads itself, None for any other.

    YouTube is sent without a type (application/octet-stream is a 400 there), a file has its own.
    """
    if text.startswith("gs://"):
        return _storage(text)
    for base in (base_url, _GOOGLE):
        if text.startswith(base + "/") and (file := _FILE_URI.fullmatch(text[len(base) :])):
            # The query is left out: it may hold a key.
            return Blob(None, uri=f"{base}/v1beta/files/{file[1]}")
    return _youtube(text)


def file_reference(file_id: str, base_url: str) -> Blob:
    """Return the blob for a `file_id`: `files/abc` or `abc`.

    Raises `InvalidMedia` (code `unknown_file`) for an id that cannot be one of Gemini's.
    """
    name = _FILE_NAME.fullmatch(file_id)
    if name is None:
        raise InvalidMedia(
            "This is not the id of a file in Gemini's Files API, such as 'files/abc-123'.",
            code="unknown_file",
        )
    return Blob(None, uri=f"{base_url}/v1beta/files/{name[1]}")


def is_named(blob: Blob) -> bool:
    """Tell whether *blob* is a file in Gemini's Files API that the client itself has named.

    One that was uploaded here has a type.
    """
    return blob.mime is None and blob.uri is not None and _HOME.fullmatch(blob.uri) is not None


def is_uploaded(blob: Blob) -> bool:
    """Tell whether *blob* is a file in Gemini's Files API that was uploaded here."""
    return blob.mime is not None and blob.uri is not None and _HOME.fullmatch(blob.uri) is not None


def mime_of_path(url: str) -> str | None:
    """Guess the type of an address that is passed on unread, by its extension."""
    format_ = format_named(urlsplit(url).path.rpartition("/")[2].rpartition(".")[2])
    return format_.mime if format_ else None


def _storage(text: str) -> Blob:
    if not _STORAGE.fullmatch(text):
        raise InvalidMedia("This is not a Cloud Storage address of the form gs://bucket/object.")
    return Blob(mime_of_path(text), uri=text)


def _youtube(text: str) -> Blob | None:
    if _UNSENDABLE.search(text):
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.netloc.lower() not in _YOUTUBE_HOSTS or not _YOUTUBE_PATH.fullmatch(parts.path):
        return None
    return Blob(None, uri=f"https://{text.partition('://')[2]}")
