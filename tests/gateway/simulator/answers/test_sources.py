from tests.gateway.simulator.answers.answering import answer, parts_of


def test_citations_point_at_bytes_and_a_start_of_zero_is_absent():
    got = answer("who?", tools=[{"googleSearch": {}}, {"urlContext": {}}])
    said = parts_of(got)[0]["text"].encode()
    supports = got["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert "startIndex" not in supports[0]["segment"]
    assert len(supports) == 3
    for support in supports:
        segment = support["segment"]
        found = said[segment.get("startIndex", 0) : segment["endIndex"]].decode()
        assert found == segment["text"]
    assert got["candidates"][0]["urlContextMetadata"]["urlMetadata"]
    assert got["usageMetadata"]["toolUsePromptTokenCount"]


def test_every_kind_of_source_has_its_chunks():
    images = {"googleSearch": {"searchTypes": {"imageSearch": {}}}}
    files = {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}}
    got = answer("who?", tools=[images, {"googleMaps": {}}, files])
    metadata = got["candidates"][0]["groundingMetadata"]
    chunks = metadata["groundingChunks"]
    assert metadata["imageSearchQueries"] == ["who?"]
    assert [next(iter(one)) for one in chunks] == [
        "web",
        "web",
        "image",
        "maps",
        "retrievedContext",
    ]


def test_citations_are_those_of_the_text():
    got = answer("Recite")["candidates"][0]
    said = got["content"]["parts"][0]["text"].encode()
    first, last = got["citationMetadata"]["citationSources"]
    assert "startIndex" not in first
    assert said[: first["endIndex"]].decode() == "Das Café schließt um 18 Uhr."
    assert said[last["startIndex"] : last["endIndex"]].decode() == "The source says so 😀."
