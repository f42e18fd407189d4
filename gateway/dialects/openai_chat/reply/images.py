"""Images that Gemini drew, in `content` as Markdown or beside it."""

from gateway.dialects.openai_chat import turns
from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.exchange import Json


def image(choice: Choice, part: Json) -> list[Json]:
    """Return the delta that shows the image in *part*; a draft waits for the end.

    Thinking image models draw drafts as thoughts. They are hidden, unless no other image follows.
    """
    if part.get("thought"):
        choice.draft = part
        return []
    url = _url(part)
    choice.images += 1
    if "inlineData" in part:
        choice.image_keys.append(turns.image_key(part["inlineData"]["data"]))
    if choice.options.image_output == "images":
        choice.add_part(part)
        entry = {"type": "image_url", "index": choice.images - 1, "image_url": {"url": url}}
        return [{"images": [entry]}]
    text = f"{choice.break_before()}![image]({url})\n"
    choice.add_part(part)
    return [choice.insert(text)]


def last_draft(choice: Choice) -> list[Json]:
    """Return the delta of the last draft if no other image came."""
    if choice.draft is None or choice.images:
        return []
    part = {name: value for name, value in choice.draft.items() if name != "thought"}
    return image(choice, part)


def _url(part: Json) -> str:
    if "fileData" in part:
        return str(part["fileData"]["fileUri"])
    blob = part["inlineData"]
    return f"data:{blob['mimeType']};base64,{blob['data']}"
