import pytest

from tests.gateway.dialects.openai_chat.recorded import SHARED, replies
from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
)

URL = "https://vertexaisearch.cloud.google.com/grounding-api-redirect/x"
WEB = {"web": {"uri": URL, "title": "example.org"}}
CODE = {"executableCode": {"code": "1"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}


def grounding(*supports, chunks=(WEB,)):
    return {"groundingChunks": list(chunks), "groundingSupports": list(supports)}


def support(text, start=0, *, indices=(0,)):
    segment = {"endIndex": start + len(text.encode()), "text": text}
    if start:
        segment["startIndex"] = start
    return {"segment": segment, "groundingChunkIndices": list(indices)}


def cited(answer):
    """Return the cited pieces of a message's content."""
    citations = [annotation["url_citation"] for annotation in answer["annotations"]]
    return [answer["content"][one["start_index"] : one["end_index"]] for one in citations]


def test_the_first_citation_has_no_start_and_is_kept():
    """Seen elsewhere: citations that begin at 0 were lost."""
    answer = message([stop("Paris is big.", groundingMetadata=grounding(support("Paris is big.")))])
    citation = {"start_index": 0, "end_index": 13, "url": URL, "title": "example.org"}
    assert answer["annotations"] == [{"type": "url_citation", "url_citation": citation}]


def test_byte_offsets_become_code_points():
    """Seen elsewhere: offsets behind letters of several bytes were wrong."""
    text = "Größe 🙂 漢字. Zweiter Satz."
    start = len("Größe 🙂 漢字. ".encode())
    answer = message([stop(text, groundingMetadata=grounding(support("Zweiter Satz.", start)))])
    assert cited(answer) == ["Zweiter Satz."]


@pytest.mark.parametrize("off", [-3, -1, 1, 40])
def test_an_offset_that_misses_its_text_is_mended(off):
    text = "An é. Paris is big. Paris is old."
    start = max(text.encode().index(b"Paris is old") + off, 1)
    found = grounding(support("Paris is old", start))
    assert cited(message([stop(text, groundingMetadata=found)])) == ["Paris is old"]


def test_of_equal_texts_the_nearest_is_meant():
    text = "same, same, same"
    for place, start in ((0, 1), (6, 7), (12, 11), (12, 500)):
        answer = message([stop(text, groundingMetadata=grounding(support("same", start)))])
        assert answer["annotations"][0]["url_citation"]["start_index"] == place


def test_inserted_code_and_images_shift_the_places():
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    events = [event("Before ü. "), event(CODE, RESULT), event("Behind. ", image), event("Last.")]
    start = len("Before ü. ".encode())
    found = grounding(
        support("Before ü."),
        support("Behind.", start),
        support("Last.", start + 8),
        support("ü. Behind", start - 4),
    )
    answer = message([*events, stop(groundingMetadata=found)])
    *whole, across = cited(answer)
    assert whole == ["Before ü.", "Behind.", "Last."]
    assert across.startswith("ü. \n\n```python")
    assert across.endswith("Behind")


def test_citations_are_streamed_before_the_finish_with_the_raw_metadata():
    found = grounding(support("Paris"))
    chunks = run(
        make_reply(), [event("Paris", groundingMetadata={}), stop("!", groundingMetadata=found)]
    )
    *_, annotations, raw = deltas(chunks)
    assert annotations["annotations"]
    assert raw == {"grounding": {"groundingMetadata": found}}
    assert chunks[-1]["choices"][0]["delta"] == {}


@pytest.mark.parametrize("letter", ["a", "é", "漢", "🙂"])
def test_places_far_into_a_text_are_counted_in_characters(letter):
    text = "".join(f"{letter * 3}{at} " for at in range(2_000))
    words = text.split()
    starts = [len(" ".join(words[:at]).encode()) + 1 for at in range(1, 2_000, 7)]
    found = [support(words[1 + 7 * at], start) for at, start in enumerate(starts)]
    answer = message([stop(text, groundingMetadata=grounding(*found))])
    assert cited(answer) == words[1::7]


def test_a_place_in_the_middle_of_a_character_is_that_of_the_character():
    segment = {"startIndex": 3, "endIndex": 6}
    found = grounding({"segment": segment, "groundingChunkIndices": [0]})
    assert cited(message([stop("aééé", groundingMetadata=found)])) == ["é"]


def test_texts_that_are_quoted_wrongly_are_looked_for_in_a_bounded_part_of_the_answer():
    text = "y" * 4_000_000 + "Paris"
    found = grounding(*[support("nowhere", 1)] * 4, support("Paris", 7))
    places = cited(message([stop(text, groundingMetadata=found)]))
    # What is not looked for is cited for the whole.
    assert [len(place) for place in places] == [len(text)] * 5


def test_every_kind_of_source_is_cited():
    chunks = [
        WEB,
        {"maps": {"uri": "https://maps.google.com/?cid=1", "title": "Café", "placeId": "p"}},
        {"retrievedContext": {"fileSearchStore": "fileSearchStores/a", "text": "..."}},
        {"image": {"imageUri": "https://example.org/i.png"}},
        {"later": {}},
    ]
    found = grounding(support("Paris", indices=(0, 1, 2, 3, 4, 9)), chunks=chunks)
    answer = message([stop("Paris", groundingMetadata=found)])
    citations = [one["url_citation"] for one in answer["annotations"]]
    assert [(one["url"], one["title"]) for one in citations] == [
        (URL, "example.org"),
        ("https://maps.google.com/?cid=1", "Café"),
        ("fileSearchStores/a", "fileSearchStores/a"),
        ("https://example.org/i.png", "https://example.org/i.png"),
        ("", ""),
    ]


def test_sources_without_places_are_cited_for_the_whole():
    answer = message([stop("Paris", groundingMetadata=grounding())])
    assert cited(answer) == ["Paris"]
    lost = grounding(support("nowhere in it"))
    assert cited(message([stop("Paris", groundingMetadata=lost)])) == ["Paris"]


def test_citation_metadata_is_told_once_though_a_stream_repeats_it():
    first = {"startIndex": 2, "endIndex": 5, "uri": "https://example.org/", "license": "mit"}
    second = {"startIndex": 6, "endIndex": 9, "title": "A book"}
    events = [
        event("0123456789", citationMetadata={"citationSources": [first]}),
        stop(citationMetadata={"citations": [first, second]}),
    ]
    answer = message(events)
    assert cited(answer) == ["234", "678"]
    assert [one["url_citation"]["title"] for one in answer["annotations"]] == [
        "https://example.org/",
        "A book",
    ]
    assert answer["grounding"] == {"citationMetadata": {"citationSources": [first, second]}}


def test_citations_that_differ_by_their_end_only_are_all_told():
    sources = [{"startIndex": 1, "endIndex": end, "uri": "https://a.org/"} for end in (2, 3)]
    events = [event("0123", citationMetadata={}), stop(citationMetadata={"citations": sources})]
    assert cited(message(events)) == ["1", "12"]


def test_a_quotation_without_a_place_is_looked_for():
    found = grounding({"segment": {"text": "old"}, "groundingChunkIndices": [0]})
    assert cited(message([stop("Paris is old.", groundingMetadata=found)])) == ["old"]


def test_more_sources_may_come_without_places():
    other = {"web": {"uri": "https://b.org/", "title": "b.org"}}
    events = [
        event("Paris", groundingMetadata=grounding(support("Paris"))),
        stop(groundingMetadata={"groundingChunks": [other]}),
    ]
    answer = message(events)
    assert cited(answer) == ["Paris"]
    assert answer["grounding"]["groundingMetadata"]["groundingChunks"] == [WEB, other]


def test_a_citation_without_a_place_or_beyond_the_text_is_of_the_whole():
    sources = [
        {"uri": "https://a.org/"},
        {"startIndex": 110, "endIndex": 239, "uri": "https://b.org/"},
    ]
    answer = message([stop("short", citationMetadata={"citationSources": sources})])
    assert cited(answer) == ["short", "short"]


def test_pages_that_were_read_are_cited_unless_grounding_does():
    pages = [
        {"retrievedUrl": URL, "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
        {"retrievedUrl": "https://b.org/", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
        {"retrievedUrl": "https://c.org/", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"},
        {"urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
    ]
    metadata = {"urlContextMetadata": {"urlMetadata": pages}}
    answer = message([stop("Paris", groundingMetadata=grounding(support("Paris")), **metadata)])
    assert [one["url_citation"]["url"] for one in answer["annotations"]] == [URL, "https://b.org/"]
    assert answer["grounding"]["urlContextMetadata"] == {"urlMetadata": pages}


def supports(events):
    for one in events:
        for candidate in one.get("candidates") or ():
            metadata = candidate.get("groundingMetadata") or {}
            for found in metadata.get("groundingSupports") or ():
                # Some name sources that are not there: pages that could not be read.
                if max(found["groundingChunkIndices"]) < len(metadata.get("groundingChunks") or ()):
                    yield found


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded replies are not in this checkout")
def test_every_recorded_citation_covers_the_text_that_gemini_meant():
    checked = 0
    for name, events in replies():
        meant = [found["segment"]["text"] for found in supports(events)]
        if meant:
            citations = cited(message(events))
            assert set(meant) <= set(citations), name
            checked += len(meant)
    assert checked > 70
