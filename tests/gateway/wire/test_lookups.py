import pytest

from gateway.exchange import Usage
from gateway.wire.lookups import Lookups

WEB, PLACE = {"web": {"uri": "https://a.org/"}}, {"maps": {"placeId": "places/1"}}


def found(*groundings: object) -> tuple[int, int]:
    """Return the searches of the web and of maps that one candidate made."""
    lookups, usage = Lookups(), Usage()
    for grounding in groundings:
        lookups.note(0, grounding)
    lookups.count(usage)
    return usage.searches, usage.maps


@pytest.mark.parametrize(
    ("queries", "chunks", "counts"),
    [
        (["a", "b"], [], (2, 0)),
        (["a", "b", "a", ""], [WEB], (2, 0)),
        ([], [WEB], (0, 0)),
        (["a"], [PLACE], (0, 1)),
        (["a", "b"], [PLACE, PLACE], (0, 2)),
        ([], [PLACE], (0, 1)),
        (["a", "b"], [PLACE, WEB], (2, 1)),
    ],
)
def test_a_query_counts_once_and_where_something_was_found(queries, chunks, counts):
    assert found({"webSearchQueries": queries, "groundingChunks": chunks}) == counts


def test_what_comes_in_pieces_is_counted_together():
    pieces = [{"webSearchQueries": ["a"]}, {"webSearchQueries": ["a", "b"]}, {}]
    assert found(*pieces) == (2, 0)
    assert found(*pieces, {"groundingChunks": [PLACE]}) == (0, 2)


@pytest.mark.parametrize(
    ("grounding", "counts"),
    [
        ({}, (2, 0)),
        ({"webSearchQueries": ["a"]}, (3, 0)),
        ({"webSearchQueries": ["c"], "groundingChunks": [PLACE]}, (2, 1)),
    ],
)
def test_a_search_for_images_counts_as_one_of_the_web(grounding, counts):
    """It cost nothing."""
    images = {"imageSearchQueries": ["a", "b", "", 5]}
    assert found({**images, **grounding}, images) == counts


@pytest.mark.parametrize(
    "odd",
    [None, [], 5, "x", {"webSearchQueries": "ab"}, {"webSearchQueries": [1, None, {}]}]
    + [{"groundingChunks": odd} for odd in (5, [5], [None], "maps", {"maps": 1})],
)
def test_what_is_no_metadata_tells_of_nothing(odd):
    assert found(odd) == (0, 0)


def test_candidates_search_for_themselves():
    lookups, usage = Lookups(), Usage()
    for index in (0, 1):
        lookups.note(index, {"webSearchQueries": ["a"]})
    lookups.count(usage)
    assert usage.searches == 2
