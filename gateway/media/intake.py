"""Takes in the media of one request: checks, fetches, inlines or uploads them.

Addresses that Gemini reads by itself are passed on unchanged. All other URLs are checked before the
first of them is requested, then fetched concurrently, each URL once. Large items are left to
`Uploads`, which the handler starts.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from gateway.errors import BadRequest, GatewayError, InvalidMedia, NotFound
from gateway.exchange import Blob, Exchange
from gateway.media import data_url
from gateway.media.concurrently import run_all
from gateway.media.data_url import Base64Window
from gateway.media.fetch import Budget, Fetcher
from gateway.media.files import FilesClient
from gateway.media.formats import Claim, decide_format
from gateway.media.parts import MediaPart, naming_part
from gateway.media.references import file_reference, is_named, mime_of_path, reference
from gateway.media.spool import Spool
from gateway.media.uploads import KEY_ERRORS, Uploads
from gateway.media.wav import Headed, pcm_header
from gateway.media.web_url import MAX_CHARACTERS, UNREACHABLE
from gateway.models import base_name
from gateway.process.threads import in_thread
from gateway.protocols import Window
from gateway.settings import Media

# Up to this size items are checked and encoded on the loop, where a thread would cost more. The
# limit is lower for a data URL without base64, whose percent signs take hundreds of times as long.
_SMALL = 131_072
_SMALL_PLAIN = 4_096
# A scheme is found within this many characters, leading blanks included.
_HEAD = 256
_SCHEME = re.compile(r"\s*(?!data:)[a-z][a-z0-9+.-]{1,20}:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Intake:
    """Fills `exchange.media`; without *files* all media are inlined.

    *model_of* resolves a model name of a payload.
    """

    settings: Media
    base_url: str
    fetcher: Fetcher
    files: FilesClient | None = None
    model_of: Callable[[str], str] = str

    @property
    def inline_bytes(self) -> int:
        """Return the size up to which an item is held in memory and sent inside the body."""
        limit = self.settings.max_item_bytes
        return limit if self.files is None else min(limit, self.settings.upload_above_bytes)

    async def fill(self, exchange: Exchange, parts: list[MediaPart], spools: ExitStack) -> None:
        """Store the blob of each of *parts*; large ones are left to `exchange.finish_media`.

        *spools* must stay open until that has run. Raises `GatewayError`; its *param* names the
        part.
        """
        limit = self.settings.max_items
        if len(parts) > limit:
            raise BadRequest(
                f"This request has {len(parts)} media parts; {limit} are allowed.",
                param=parts[limit].claim.param,
                code="too_many_media",
            )
        await _RequestMedia(self, exchange, spools).run(parts)

    def forget_lost(self, exchange: Exchange, error: GatewayError | None) -> bool:
        """Forget those uploads of *exchange* that *error* says are gone; False if none is."""
        if self.files is None or type(error) is not NotFound:
            return False
        return self.files.forget(error.message, exchange.media.values())

    def can_move(self, exchange: Exchange, error: GatewayError) -> bool:
        """Tell whether, after *error*, another project could take the uploads and serve them."""
        if (
            self.files is None
            or exchange.media_project is None
            or not isinstance(error, KEY_ERRORS)
        ):
            return False
        if exchange.dialect.cached_content(exchange.payload) or any(
            map(is_named, exchange.media.values())
        ):
            return False
        return not self.files.serves(exchange.media_project, self.model(exchange))

    def model(self, exchange: Exchange) -> str:
        """Return the model that *exchange* requests, with aliases resolved."""
        return self.model_of(base_name(exchange.payload["model"]))


class _RequestMedia:
    """Takes in the media of one request."""

    __slots__ = ("_budget", "_exchange", "_intake", "_spools", "_uploads")

    def __init__(self, intake: Intake, exchange: Exchange, spools: ExitStack) -> None:
        self._intake = intake
        self._exchange = exchange
        self._spools = spools
        self._budget = Budget(intake.settings.max_request_bytes)
        self._uploads = Uploads(exchange)

    async def run(self, parts: list[MediaPart]) -> None:
        """Take in all parts; the cheapest checks come first."""
        inline: list[MediaPart] = []
        urls: dict[str, list[MediaPart]] = {}
        for part in parts:
            with naming_part(part.claim, url_fault=True):
                self._sort(part, inline, urls)
        for part in inline:
            with naming_part(part.claim):
                await self._inline(part)
        if urls:
            await run_all(self._fetch(url, parts) for url, parts in urls.items())
        if self._uploads:
            self._exchange.finish_media = self._upload
        else:
            self._spools.close()

    async def _upload(self) -> None:
        """Store the large items, and wait until they may be used."""
        files = self._intake.files
        assert files is not None
        if self._uploads:
            await self._uploads.store(files, self._intake.model(self._exchange))
            self._spools.close()
        await self._uploads.wait(files)

    def _sort(
        self, part: MediaPart, inline: list[MediaPart], urls: dict[str, list[MediaPart]]
    ) -> None:
        """Store *part* if it is passed on as an address, else add it to *inline* or *urls*."""
        blob = self._pass_address(part)
        if blob is not None:
            self._exchange.media[part.at] = blob
        elif _SCHEME.match(part.source[:_HEAD].lstrip()):
            url = part.source.strip()
            self._intake.fetcher.check(url)
            urls.setdefault(url, []).append(part)
        else:
            inline.append(part)

    def _pass_address(self, part: MediaPart) -> Blob | None:
        """Return the blob of an address that is passed on unread, None for all other sources."""
        base_url, source = self._intake.base_url, part.source
        if not _SCHEME.match(source[:_HEAD].lstrip()):
            if part.key != "file_id":
                return None
            return self._note_named_file(part, file_reference(source, base_url))
        source = source.strip()
        if len(source) > MAX_CHARACTERS:
            # Before anything reads all of it.
            raise InvalidMedia(UNREACHABLE)
        blob = reference(source, base_url)
        if blob is not None:
            return self._note_named_file(part, blob) if is_named(blob) else blob
        if self._intake.settings.url_mode == "pass" and source.lower().startswith("https:"):
            self._intake.fetcher.check(source)
            return Blob(mime_of_path(source), uri=source)
        return None

    def _note_named_file(self, part: MediaPart, blob: Blob) -> Blob:
        """Note that *part* names the file at *blob*, which belongs to one project."""
        assert blob.uri is not None
        self._uploads.note_named_file(part.claim.param, blob.uri)
        return blob

    async def _inline(self, part: MediaPart) -> None:
        """Take in a data URL or bare base64."""
        source, limit = part.source, self._intake.settings.max_item_bytes
        _, _, is_base64 = data_url.head(source)
        if len(source) <= (_SMALL if is_base64 else _SMALL_PLAIN):
            blob = data_url.to_blob(source, part.claim, limit)
        else:
            blob = await in_thread(data_url.to_blob, source, part.claim, limit)
        assert blob.data is not None
        assert blob.mime is not None
        # The blob has the bytes now; kept here too, they would be in memory twice.
        part.holder[part.key] = f"data:{blob.mime};base64,"
        window = Base64Window(blob.data)
        self._budget.take(len(window))
        if len(window) > self._intake.inline_bytes:
            self._uploads.add(part, window, blob.mime)
        else:
            self._exchange.media[part.at] = blob

    async def _fetch(self, url: str, parts: list[MediaPart]) -> None:
        spool = Spool(self._intake.inline_bytes, self._exchange.hold)
        self._spools.enter_context(closing(spool))
        with naming_part(parts[0].claim, url_fault=True):
            served_as = await self._intake.fetcher.fetch(
                url, self._exchange.license.id, self._budget, spool
            )
            if not spool.size:
                raise InvalidMedia("The server of this URL sent nothing.", code="empty_media")
        window = await spool.window()
        data = None
        for number, part in enumerate(parts):
            if number and not spool.is_large:
                # It is sent once for each part.
                with naming_part(part.claim):
                    self._budget.take(spool.size)
            item, mime = _presented(window, _with_hints_of_url(part.claim, url, served_as))
            if spool.is_large:
                self._uploads.add(part, item, mime)
            elif item is not window:
                self._exchange.media[part.at] = Blob(mime, await _encode(item[:]))
            else:
                data = data or await _encode(window[:])
                self._exchange.media[part.at] = Blob(mime, data)


def _presented(window: Window, claim: Claim) -> tuple[Window, str]:
    """Return what is sent for *window*, raw samples with a header, and its type."""
    format_ = decide_format(window, claim)
    assert format_.mime is not None
    if format_.name == "pcm":
        return Headed(pcm_header(len(window), claim.declared), window), format_.mime
    return window, format_.mime


def _with_hints_of_url(claim: Claim, url: str, served_as: str) -> Claim:
    """Add the hints of a URL: the file name in its path, the type named by its server."""
    filename = claim.filename or urlsplit(url).path.rpartition("/")[2]
    return replace(claim, filename=filename, served_as=served_as)


async def _encode(data: bytes) -> str:
    if len(data) <= _SMALL:
        return b64encode(data).decode("ascii")
    encoded = await in_thread(b64encode, data)
    return encoded.decode("ascii")
