"""Strategies: any events that Gemini's schema allows, and the requests that they answer."""

from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SIGNED = st.fixed_dictionaries({}, optional={"thoughtSignature": st.just("c2ln")})
BLOBS = st.sampled_from(
    [
        {"mimeType": "image/png", "data": "iVBORw=="},
        {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAECAwQ="},
        {"mimeType": "video/mp4", "data": "AAAA"},
    ]
)
FILES = st.sampled_from(
    [
        {"mimeType": "image/png", "fileUri": "https://a.org/1.png"},
        {"mimeType": "application/pdf", "fileUri": "https://a.org/1.pdf"},
    ]
)
ARGUMENTS = st.dictionaries(TEXTS, st.none() | st.integers(-9, 9) | TEXTS, max_size=3)
OUTCOMES = ["OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED", "OUTCOME_UNSPECIFIED"]


def kind(name, fields, **optional):
    """Draw a part that holds *name*; the fields *optional* may be absent."""
    return st.fixed_dictionaries({name: st.fixed_dictionaries(fields, optional=optional)})


THOUGHT = {"thought": st.booleans()}
KINDS = st.one_of(
    st.fixed_dictionaries({"text": TEXTS}, optional=THOUGHT),
    kind("functionCall", {"name": st.sampled_from(["f", "tool", "new"])}, args=ARGUMENTS, id=TEXTS),
    kind("executableCode", {"code": TEXTS}, language=st.just("PYTHON"), id=TEXTS),
    kind("codeExecutionResult", {"outcome": st.sampled_from(OUTCOMES)}, output=TEXTS, id=TEXTS),
    st.fixed_dictionaries({"inlineData": BLOBS}, optional=THOUGHT),
    st.fixed_dictionaries({"fileData": FILES}),
    kind("toolCall", {"toolType": st.just("GOOGLE_MAPS")}, id=TEXTS, args=ARGUMENTS),
    kind("toolResponse", {"toolType": st.just("GOOGLE_MAPS")}, id=TEXTS, response=ARGUMENTS),
)
PARTS = st.builds(lambda kind, signed: {**kind, **signed}, KINDS, SIGNED)
PLACES = {"startIndex": st.integers(0, 60), "endIndex": st.integers(0, 60)}
SEGMENTS = st.fixed_dictionaries({}, optional={**PLACES, "text": TEXTS, "partIndex": st.just(0)})
SUPPORTS = st.fixed_dictionaries(
    {"segment": SEGMENTS, "groundingChunkIndices": st.lists(st.integers(0, 4), max_size=3)},
    optional={"confidenceScores": st.just([0.5])},
)
URLS = st.sampled_from(["https://a.org/", ""])
CHUNKS = st.one_of(
    kind("web", {}, uri=URLS, title=TEXTS),
    kind("maps", {}, uri=URLS, title=TEXTS, placeId=TEXTS),
    kind("retrievedContext", {}, uri=URLS, title=TEXTS, fileSearchStore=TEXTS),
    kind("image", {}, sourceUri=URLS, imageUri=URLS, title=TEXTS),
)
GROUNDINGS = st.fixed_dictionaries(
    {},
    optional={
        "groundingChunks": st.lists(CHUNKS, max_size=3),
        "groundingSupports": st.lists(SUPPORTS, max_size=3),
        "webSearchQueries": st.lists(TEXTS, max_size=2),
    },
)
CITATIONS = st.fixed_dictionaries(
    {
        "citationSources": st.lists(
            st.fixed_dictionaries({}, optional={**PLACES, "uri": URLS, "license": TEXTS}),
            max_size=2,
        )
    }
)
STATUSES = ["SUCCESS", "ERROR", "PAYWALL", "UNSAFE"]
PAGES = st.fixed_dictionaries(
    {},
    optional={
        "retrievedUrl": URLS,
        "urlRetrievalStatus": st.sampled_from(STATUSES).map("URL_RETRIEVAL_STATUS_{}".format),
    },
)
# What a candidate's end says of all its text.
EVIDENCE = st.fixed_dictionaries(
    {},
    optional={
        "groundingMetadata": GROUNDINGS,
        "citationMetadata": CITATIONS,
        "urlContextMetadata": st.fixed_dictionaries({"urlMetadata": st.lists(PAGES, max_size=2)}),
    },
)
TOKENS = st.fixed_dictionaries(
    {"token": TEXTS, "logProbability": st.floats(-9, 0)}, optional={"tokenId": st.integers(0, 9)}
)
LOGPROBS = st.fixed_dictionaries(
    {"chosenCandidates": st.lists(TOKENS, max_size=2)},
    optional={
        "topCandidates": st.lists(
            st.fixed_dictionaries({"candidates": st.lists(TOKENS, max_size=2)}), max_size=2
        )
    },
)
RATINGS = st.just([{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}])
ENDS = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "NEW", "MALFORMED_FUNCTION_CALL"])
CONTENTS = st.fixed_dictionaries(
    {}, optional={"role": st.just("model"), "parts": st.lists(PARTS, max_size=4)}
)


def _candidate(evidence, fields):
    return {**fields, **evidence}


CANDIDATES = st.builds(
    _candidate,
    EVIDENCE,
    st.fixed_dictionaries(
        {},
        optional={
            "content": CONTENTS,
            "index": st.integers(0, 2),
            "finishReason": ENDS,
            "finishMessage": TEXTS,
            "safetyRatings": RATINGS,
            "logprobsResult": LOGPROBS,
            "avgLogprobs": st.floats(-9, 0),
        },
    ),
)
NUMBERS = st.integers(0, 99)
DETAILS = st.lists(
    st.fixed_dictionaries(
        {
            "modality": st.sampled_from(["TEXT", "IMAGE", "AUDIO", "VIDEO", "DOCUMENT"]),
            "tokenCount": NUMBERS,
        }
    ),
    max_size=2,
)
COUNTS = st.fixed_dictionaries(
    {},
    optional={
        "promptTokenCount": NUMBERS,
        "candidatesTokenCount": NUMBERS,
        "thoughtsTokenCount": NUMBERS,
        "toolUsePromptTokenCount": NUMBERS,
        "cachedContentTokenCount": NUMBERS,
        "totalTokenCount": NUMBERS,
        "promptTokensDetails": DETAILS,
        "candidatesTokensDetails": DETAILS,
        "serviceTier": st.just("standard"),
    },
)
FEEDBACK = st.fixed_dictionaries(
    {},
    optional={
        "blockReason": st.sampled_from(["SAFETY", "OTHER", "NEW"]),
        "blockReasonMessage": TEXTS,
        "safetyRatings": RATINGS,
    },
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(CANDIDATES, max_size=3),
        "usageMetadata": COUNTS,
        "promptFeedback": FEEDBACK,
        "modelVersion": TEXTS,
        "responseId": TEXTS,
        "modelStatus": st.just({"modelStage": "STABLE", "retirementTime": "2027-03-15T00:00:00Z"}),
    },
)
USAGE = {"stream_options": {"include_usage": True}}
CUSTOM = {"type": "custom", "custom": {"name": "tool"}}
FORMATS = ["wav", "pcm16", "mp3"]
PAYLOADS = st.sampled_from(
    [
        {},
        USAGE,
        {"google": {"image_output": "images"}},
        {"functions": [{"name": "f"}]},
        {"tools": [CUSTOM], **USAGE},
        *({"modalities": ["audio"], "audio": {"format": one}} for one in FORMATS),
    ]
)
