"""Images embedded in the texts of an answer that a client sends back, or sent beside them."""

from collections.abc import Iterator
from typing import Any

from gateway.exchange import Blob, Json
from gateway.media import data_url

# Precedes the data of each image that `split_images` extracts from a text.
IMAGE_MARK = "](data:image/"
# Each takes 20 microseconds; beyond this number in one request a text stays text.
MAX_IMAGES = 1_000
_MAX_ALT = 1_024


class ImageBudget:
    """How many images may still be looked for in one request, in its texts and beside them."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_IMAGES

    def take(self) -> bool:
        """Count one more; False if it may not be looked at."""
        self._left -= 1
        return self._left >= 0


def split_images(text: str, image_budget: ImageBudget) -> Iterator[Json]:
    """Yield *text* as parts, with each Markdown image that holds its data as an image part.

    Takes from *image_budget*.
    """
    position = at = 0
    while image_budget.take():
        mark = text.find(IMAGE_MARK, at)
        if mark < 0:
            break
        # The data of an image contains no other mark: searching no further keeps the time linear.
        following = text.find(IMAGE_MARK, mark + 2)
        end = text.find(")", mark, following if following >= 0 else len(text))
        start = text.rfind("![", max(at, mark - _MAX_ALT), mark)
        at = mark + 2
        image = data_image(text[at:end]) if start >= 0 and end >= 0 else None
        if image is not None:
            yield from _text(text[position:start])
            yield image
            position = at = end + 1
    yield from _text(text[position:])


def data_image(url: Any) -> Json | None:
    """Return the part of a data URL with an image that Gemini accepts; None for all else."""
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return None
    blob = data_url.image(url)
    return inline(blob) if blob else None


def _text(text: str) -> Iterator[Json]:
    if text.strip():
        yield {"text": text}


def inline(blob: Blob) -> Json:
    """Return *blob* as a part."""
    if blob.uri is None:
        return {"inlineData": {"mimeType": blob.mime, "data": blob.data}}
    if blob.mime is None:
        return {"fileData": {"fileUri": blob.uri}}
    return {"fileData": {"mimeType": blob.mime, "fileUri": blob.uri}}
