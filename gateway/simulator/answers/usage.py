"""Token counts: four characters are a token, media cost a fixed amount."""

from gateway.simulator.answers.request import Request
from gateway.simulator.refusal import Json

_MEDIA_TOKENS = {"IMAGE": 258, "AUDIO": 64, "VIDEO": 516, "DOCUMENT": 258}
_MODALITIES = {"image": "IMAGE", "audio": "AUDIO", "video": "VIDEO", "text": "DOCUMENT"}
THOUGHT_TOKENS = 12
_SEARCH_TOKENS = 20
# What these tools read counts as part of the prompt.
_READERS = ("urlContext", "googleMaps", "fileSearch")


def text_tokens(text: str) -> int:
    """Return the number of tokens of *text*."""
    return (len(text) + 3) // 4


def count(contents: list[Json]) -> dict[str, int]:
    """Return the number of tokens of *contents* per modality."""
    counts: dict[str, int] = {}
    for content in contents:
        for part in content["parts"]:
            modality, tokens = _part_tokens(part)
            counts[modality] = counts.get(modality, 0) + tokens
    return counts


def details(counts: dict[str, int]) -> list[Json]:
    """Return *counts* as a list of ModalityTokenCount."""
    return [{"modality": name, "tokenCount": tokens} for name, tokens in counts.items() if tokens]


def _part_tokens(part: Json) -> tuple[str, int]:
    if "text" in part:
        return "TEXT", text_tokens(part["text"])
    media = part.get("inlineData") or part.get("fileData")
    if media is not None:
        modality = _MODALITIES.get((media.get("mimeType") or "video/").split("/")[0], "DOCUMENT")
        return modality, _MEDIA_TOKENS[modality]
    return "TEXT", text_tokens(str(part))


class Usage:
    """Counts the cost of an answer so far."""

    __slots__ = ("_candidates", "_copies", "_prompt", "_thoughts", "_tier", "_tool_use")

    def __init__(self, request: Request) -> None:
        system = request.body.get("systemInstruction")
        self._prompt = count([*request.body["contents"], *([system] if system else [])])
        self._thoughts = THOUGHT_TOKENS if request.thinks else 0
        self._candidates: dict[str, int] = {}
        self._copies = request.config.get("candidateCount", 1)
        self._tool_use = _SEARCH_TOKENS if any(map(request.uses, _READERS)) else 0
        self._tier = request.body.get("serviceTier", "STANDARD").lower()

    def add(self, parts: list[Json]) -> None:
        """Count *parts* of the answer."""
        visible = [part for part in parts if not part.get("thought")]
        for modality, tokens in count([{"parts": visible}]).items():
            total = self._candidates.get(modality, 0) + tokens * self._copies
            self._candidates[modality] = total

    def metadata(self) -> Json:
        """Return usageMetadata as of now; zero counts are absent."""
        prompt, completion = sum(self._prompt.values()), sum(self._candidates.values())
        counts = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "thoughtsTokenCount": self._thoughts,
            "toolUsePromptTokenCount": self._tool_use,
        }
        result: Json = {name: tokens for name, tokens in counts.items() if tokens}
        result["totalTokenCount"] = sum(counts.values())
        result["promptTokensDetails"] = details(self._prompt)
        if completion:
            result["candidatesTokensDetails"] = details(self._candidates)
        if self._tool_use:
            result["toolUsePromptTokensDetails"] = details({"TEXT": self._tool_use})
        result["serviceTier"] = self._tier
        return result
