"""The Files API: resumable upload, get, list, delete; a file belongs to the key that sent it."""

import base64
import hashlib
import secrets
from dataclasses import dataclass

from gateway.simulator.refusal import Json, Refusal
from gateway.simulator.strict import normalise

# Kinds of media that Google processes before they can be used.
_SLOW = ("video/", "audio/")
_TIME = "2026-11-23T00:00:00.000000Z"
_EXPIRY = "2026-11-25T00:00:00.000000Z"


@dataclass(slots=True)
class _File:
    key: str
    card: Json
    data: bytearray
    polls_left: int


class Files:
    """Uploaded files. *polls* is how often a video or sound is reported as PROCESSING."""

    __slots__ = ("_files", "_polls", "_uploads")

    def __init__(self, polls: int = 1) -> None:
        self._polls = polls
        self._uploads: dict[str, _File] = {}
        self._files: dict[str, _File] = {}

    def begin(self, body: object, mime: str, key: str) -> str:
        """Start an upload; return its id."""
        about = normalise(body, "CreateFileRequest").get("file") or {} if body is not None else {}
        upload = secrets.token_hex(8)
        name = about.get("name") or f"files/{upload}"
        card = {**about, "name": name, "mimeType": mime or about.get("mimeType") or ""}
        self._uploads[upload] = _File(key, card, bytearray(), 0)
        return upload

    def append(self, upload: str, offset: int, data: bytes) -> None:
        """Take the next bytes of an upload; *offset* must be where the last ones ended."""
        file = self._upload(upload)
        if offset != len(file.data):
            raise Refusal(f"Upload offset is {offset}, expected {len(file.data)}.")
        file.data += data

    def arrived(self, upload: str) -> int:
        """Return how many bytes of an upload have arrived."""
        return len(self._upload(upload).data)

    def finalize(self, upload: str, base: str) -> Json:
        """End an upload; return the file, whose address begins with *base*."""
        file = self._upload(upload)
        del self._uploads[upload]
        file.polls_left = self._polls if file.card["mimeType"].startswith(_SLOW) else 0
        digest = hashlib.sha256(file.data).hexdigest().encode()
        file.card |= {
            "sizeBytes": str(len(file.data)),
            "createTime": _TIME,
            "updateTime": _TIME,
            "expirationTime": _EXPIRY,
            "sha256Hash": base64.b64encode(digest).decode(),
            "uri": f"{base}/v1beta/{file.card['name']}",
            "source": "UPLOADED",
        }
        self._files[file.card["name"]] = file
        return self._shown(file)

    def get(self, name: str, key: str) -> Json:
        """Return a file; each look brings it nearer to ACTIVE."""
        file = self._owned(name, key)
        card = self._shown(file)
        file.polls_left = max(0, file.polls_left - 1)
        return card

    def list(self, key: str) -> list[Json]:
        """Return the files of *key*."""
        return [self._shown(file) for file in self._files.values() if file.key == key]

    def delete(self, name: str, key: str) -> None:
        """Forget a file."""
        self._owned(name, key)
        del self._files[name]

    def check_use(self, uri: str, key: str) -> None:
        """Refuse the use of a file that does not exist, is not of this *key* or not ACTIVE."""
        _, is_file, name = uri.partition("/v1beta/files/")
        if is_file and self._owned(f"files/{name}", key).polls_left:
            raise Refusal(
                f"The File {name} is not in an ACTIVE state and usage is not allowed.",
                name="FAILED_PRECONDITION",
            )

    def _upload(self, upload: str) -> _File:
        if upload not in self._uploads:
            raise Refusal("Upload not found.", status=404)
        return self._uploads[upload]

    def _owned(self, name: str, key: str) -> _File:
        file = self._files.get(name)
        if file is None or file.key != key:
            raise Refusal(
                f"You do not have permission to access the File {name.removeprefix('files/')} or it"
                " may not exist.",
                status=403,
            )
        return file

    def _shown(self, file: _File) -> Json:
        return {**file.card, "state": "PROCESSING" if file.polls_left else "ACTIVE"}
