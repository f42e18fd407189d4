"""An assistant message as a turn of the model, as close as possible to what the model wrote."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.dialects.openai_chat import turns
from gateway.dialects.openai_chat.embedded import (
    IMAGE_MARK,
    ImageBudget,
    data_image,
    inline,
    split_images,
)
from gateway.dialects.openai_chat.reply.finish import WITHHELD
from gateway.dialects.openai_chat.request import content, past_calls
from gateway.dialects.openai_chat.translation import Translation
from gateway.exchange import Blob, Json
from gateway.features import BYPASS

Media = Mapping[tuple[int, int], Blob]


def turn(translation: Translation, message: Json, index: int) -> list[Json]:
    """Return the parts of the assistant *message* at *index*.

    What the gateway remembers of the turn takes precedence, then what the client carries, then the
    bypass where Gemini would refuse a call without a signature.
    """
    body = message.get("content")
    if (
        type(body) is str
        and _TEXT_ONLY.issuperset(message)
        and not translation.known.memories
        and IMAGE_MARK not in body
    ):
        # Nearly every turn: plain text, of which nothing else is remembered.
        return [{"text": body}] if body else []
    calls = past_calls.Calls([], [])
    signature = None
    if not _PLAIN.issuperset(message):
        by_call, signature = turns.carried_signatures(message)
        calls = past_calls.signed(translation, message, index, by_call)
    visible = _visible_parts(translation, message, index)
    parts = _restored(translation, message, index, visible, calls)
    if message.get("native_parts"):
        _note_native_parts(translation, message["native_parts"], index, parts or ())
    if parts is None:
        parts = visible
        if signature and parts and "text" in parts[-1]:
            parts[-1] = {**parts[-1], "thoughtSignature": signature}
        elif signature and calls.parts:
            calls.parts[0].setdefault("thoughtSignature", signature)
        parts += calls.parts
    if translation.can.signed_calls:
        if calls.parts:
            _bypass(parts)
        if "IMAGE" in translation.can.outputs:
            parts = [_signed_image(part) for part in parts]
    return parts


_TEXT_ONLY = frozenset({"role", "content", "name"})
_PLAIN = _TEXT_ONLY | {"refusal"}


def visible_content(
    message: Json, index: int, media: Media, image_budget: ImageBudget
) -> tuple[str, list[str]]:
    """Return the visible text of the assistant *message* at *index*, and its images' keys.

    *media* are those of the whole conversation; looking for images takes from *image_budget*.
    """
    body = message.get("content")
    is_plain = not body or (isinstance(body, str) and IMAGE_MARK not in body)
    if is_plain and not message.get("images"):
        return body or "", []
    texts: list[str] = []
    images: list[str] = []
    for part in _texts_and_images(message, index, media, image_budget):
        if "text" in part:
            texts.append(part["text"])
        else:
            images.append(turns.image_key(part["inlineData"]["data"]))
    return "".join(texts), images


def _texts_and_images(
    message: Json, index: int, media: Media, image_budget: ImageBudget
) -> Iterator[Json]:
    body = message.get("content") or ()
    for at, part in enumerate([{"type": "text", "text": body}] if isinstance(body, str) else body):
        blob = media.get((index, at)) if content.has_media([part]) else None
        if blob is not None and blob.data is not None:
            yield inline(blob)
        for text in content.texts([part]):
            yield from _with_images_split({"text": text}, image_budget)
    for image in message.get("images") or ():
        image_part = _image_beside(image, image_budget)
        if image_part is not None:
            yield image_part


def _image_beside(image: Json, image_budget: ImageBudget) -> Json | None:
    """Return one of the `images` of a message as a part; None if it holds no image."""
    if not image_budget.take():
        return None
    url = image.get("image_url")
    return data_image(url.get("url") if isinstance(url, dict) else url)


def _restored(
    translation: Translation,
    message: Json,
    index: int,
    visible: list[Json],
    calls: past_calls.Calls,
) -> list[Json] | None:
    """Return the remembered turn, with the images in *visible* signed; None if there is none."""
    memories = translation.known.memories
    if not memories:
        return None
    text, keys = visible_content(message, index, translation.known.media, translation.image_budget)
    images = _sign_images(translation, visible, keys)
    if images is None:
        return None
    key = turns.text_key_at(translation.payload["messages"], index, text, keys)
    is_of_call = key is None and bool(calls.known)
    entry = (calls.known[0] if is_of_call else turns.read_entry(memories, key)) or {}
    turn = entry.get("t")
    if not isinstance(turn, list) or not turns.is_from_model(entry, translation.name.base):
        return None
    return turns.restore(turn, calls.parts, images)


def _sign_images(
    translation: Translation, visible: list[Json], keys: Sequence[str]
) -> list[Json] | None:
    """Sign the images in *visible* by what is remembered under their *keys*, and return all.

    None if some have no key, such as those at an address: then the client changed the turn.
    """
    places = [at for at, part in enumerate(visible) if "text" not in part]
    if len(places) != len(keys):
        return None
    for at, key in zip(places, keys, strict=True):
        entry = turns.read_entry(translation.known.memories, key) or {}
        if entry.get("s") and turns.is_from_model(entry, translation.name.base):
            visible[at] = {**visible[at], "thoughtSignature": entry["s"]}
    return [visible[at] for at in places]


def _visible_parts(translation: Translation, message: Json, index: int) -> list[Json]:
    """Return the parts that the client sees and sends back: texts and images."""
    parts: list[Json] = []
    for part in content.parts(translation, message.get("content"), index):
        parts += _with_images_split(part, translation.image_budget)
    refusal = message.get("refusal")
    if refusal and not (parts and refusal.startswith(WITHHELD)):
        parts.append({"text": refusal})
    if message.get("audio"):
        parts += _spoken(translation, message["audio"], index, is_written=bool(parts))
    for at, image in enumerate(message.get("images") or ()):
        image_part = _image_beside(image, translation.image_budget)
        if image_part is not None:
            parts.append(image_part)
        else:
            translation.notes.drop(f"messages[{index}].images[{at}]")
    return parts


def _with_images_split(part: Json, image_budget: ImageBudget) -> Iterable[Json]:
    is_mixed = IMAGE_MARK in part.get("text", "")
    return split_images(part["text"], image_budget) if is_mixed else (part,)


def _spoken(translation: Translation, audio: Json, index: int, *, is_written: bool) -> list[Json]:
    """Return what the model said: its words if the client has them; sound is not kept.

    *is_written* means that there is content, which then contains the words.
    """
    words = audio.get("transcript")
    if is_written or not isinstance(words, str) or not words:
        translation.notes.drop(f"messages[{index}].audio")
        return []
    translation.notes.adjust(f"messages[{index}].audio", "transcript", "no_counterpart")
    return [{"text": words}]


def _note_native_parts(
    translation: Translation, native_parts: Sequence[Json], index: int, restored: Sequence[Json]
) -> None:
    """Note those of *native_parts* that are not among the *restored* parts of their turn.

    What a client sends of them is not trusted: one unknown field and Gemini refuses the request.
    """
    for at, part in enumerate(native_parts):
        # Only in streams they are numbered.
        if {name: value for name, value in part.items() if name != "index"} not in restored:
            translation.notes.drop(f"messages[{index}].native_parts[{at}]")


def _signed_image(part: Json) -> Json:
    """Return *part*, with the bypass if it is an image whose signature is no longer known."""
    if "inlineData" in part and "thoughtSignature" not in part:
        return {**part, "thoughtSignature": BYPASS}
    return part


def _bypass(parts: list[Json]) -> None:
    """Put the bypass on the first call of the turn if that has no signature."""
    at = next(at for at, part in enumerate(parts) if "functionCall" in part)
    parts[at] = {"thoughtSignature": BYPASS, **parts[at]}
