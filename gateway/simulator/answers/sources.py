"""The sources of an answer: grounding by search, maps, files and pages, and citations."""

from gateway.simulator.answers.request import Request
from gateway.simulator.refusal import Json

TOOL_TYPES = {
    "googleSearch": "GOOGLE_SEARCH_WEB",
    "googleMaps": "GOOGLE_MAPS",
    "fileSearch": "FILE_SEARCH",
    "urlContext": "URL_CONTEXT",
}
_REDIRECT = "https://vertexaisearch.cloud.google.com/grounding-api-redirect"
_WEB: list[Json] = [
    {"web": {"uri": f"{_REDIRECT}/one", "title": "example.com"}},
    {"web": {"uri": f"{_REDIRECT}/two", "title": "example.org"}},
]
_PICTURE: Json = {
    "image": {
        "sourceUri": "https://example.com/photos",
        "imageUri": "https://example.com/photos/1.png",
        "title": "Photos",
        "domain": "example.com",
    }
}
_PLACE: Json = {
    "maps": {
        "uri": "https://maps.google.com/?cid=1",
        "title": "Café Größenwahn",
        "placeId": "places/simulated",
    }
}
_PAGE = "https://example.com/"
_LICENSED = "https://github.com/example/recited"


def source_tools(request: Request) -> list[str]:
    """Return the tools of *request* that find sources."""
    return [name for name in TOOL_TYPES if request.uses(name)]


def recites(request: Request) -> bool:
    """Tell whether the answer must recite existing texts."""
    return "recite" in request.question.lower()


def metadata(request: Request, sentences: list[str]) -> Json:
    """Return the fields of the candidate that name the sources of *sentences*."""
    fields: Json = {}
    chunks = _chunks(request)
    if chunks:
        fields["groundingMetadata"] = _grounding(request, sentences, chunks)
    if request.uses("urlContext"):
        statuses = ("SUCCESS", "ERROR")
        fields["urlContextMetadata"] = {"urlMetadata": [_page(status) for status in statuses]}
    if recites(request):
        fields["citationMetadata"] = {"citationSources": _citations(sentences)}
    return fields


def _chunks(request: Request) -> list[Json]:
    chunks = []
    if request.uses("googleSearch") or request.uses("urlContext"):
        chunks += _WEB
    if "imageSearch" in (request.tool("googleSearch").get("searchTypes") or {}):
        chunks.append(_PICTURE)
    if request.uses("googleMaps"):
        chunks.append(_PLACE)
    for store in request.tool("fileSearch").get("fileSearchStoreNames") or ():
        context = {
            "title": "Opening hours",
            "text": "Geöffnet bis 18 Uhr.",
            "fileSearchStore": store,
        }
        chunks.append({"retrievedContext": context})
    return chunks


def _grounding(request: Request, sentences: list[str], chunks: list[Json]) -> Json:
    supports = [
        {"segment": segment, "groundingChunkIndices": [at % len(chunks)]}
        for at, segment in enumerate(_segments(sentences))
    ]
    metadata: Json = {"groundingChunks": chunks, "groundingSupports": supports}
    if request.uses("googleSearch"):
        metadata["searchEntryPoint"] = {"renderedContent": "<div>simulated search</div>"}
    if request.uses("googleSearch") or request.uses("googleMaps"):
        metadata["webSearchQueries"] = [request.question[:100]]
    if _PICTURE in chunks:
        metadata["imageSearchQueries"] = metadata["webSearchQueries"]
    return metadata


def _segments(sentences: list[str]) -> list[Json]:
    """Return the place of each sentence: offsets count UTF-8 bytes, a start of 0 is absent."""
    segments, start = [], 0
    for sentence in sentences:
        end = start + len(sentence.encode())
        lead = len(sentence) - len(sentence.lstrip())
        segment: Json = {"startIndex": start + lead} if start + lead else {}
        segment.update(endIndex=end, text=sentence.strip())
        segments.append(segment)
        start = end
    return segments


def _citations(sentences: list[str]) -> list[Json]:
    """Return the citation of the last sentence, and the first one without a source, as happens."""
    places = _segments(sentences)
    for place in places:
        del place["text"]
    return [places[0], {**places[-1], "uri": _LICENSED, "license": "mit"}]


def _page(status: str) -> Json:
    return {"retrievedUrl": _PAGE, "urlRetrievalStatus": f"URL_RETRIEVAL_STATUS_{status}"}
