import pytest

from tests.gateway.dialects.openai_chat.reply.test_citations import (
    URL,
    WEB,
    cited,
    grounding,
    support,
)
from tests.gateway.dialects.openai_chat.replying import event, make_reply, message, run, stop


def test_metadata_told_in_pieces_and_again_are_told_as_one():
    """The last event had replaced what the ones before it told."""
    other = {"web": {"uri": "https://b.org/", "title": "b.org"}}
    searched = {"webSearchQueries": ["q"], "searchEntryPoint": {"renderedContent": "<b>"}}
    events = [
        event("Paris", groundingMetadata=searched),
        event("!", groundingMetadata=grounding(support("Paris"))),
        event("Rome", groundingMetadata=grounding(support("Rome", 6), chunks=[other])),
        stop(
            groundingMetadata={
                **grounding(support("!", 5, indices=(1,)), chunks=[WEB, other]),
                "webSearchQueries": ["q", "r"],
            }
        ),
    ]
    reply = make_reply()
    answer = reply.collect(run(reply, [*events, {"usageMetadata": {"promptTokenCount": 1}}]))
    message = answer["choices"][0]["message"]
    citations = [one["url_citation"]["url"] for one in message["annotations"]]
    assert (cited(message), citations) == (
        ["Paris", "Rome", "!"],
        [URL, "https://b.org/", "https://b.org/"],
    )
    assert message["grounding"]["groundingMetadata"] == {
        "webSearchQueries": ["q", "r"],
        "searchEntryPoint": {"renderedContent": "<b>"},
        "groundingChunks": [WEB, other],
        "groundingSupports": [
            support("Paris"),
            support("Rome", 6, indices=(1,)),
            support("!", 5, indices=(1,)),
        ],
    }
    assert reply.usage.searches == 2


class Counted(dict):
    """An object of an event that counts how often it is compared."""

    comparisons = 0

    def __eq__(self, other):
        type(self).comparisons += 1
        return super().__eq__(other)

    __hash__ = None


@pytest.mark.parametrize("pieces", [2, 100])
def test_metadata_of_many_entries_are_not_compared_with_one_another(pieces):
    """Two events of 20,000 sources each stopped the process for half a minute."""
    chunks = [Counted(web={"uri": f"https://a.org/{at}"}) for at in range(200)]
    cited_ones = [Counted(support(str(at), at, indices=(at % 2,))) for at in range(200)]
    size = 200 // pieces
    parts = [slice(at, at + size) for at in range(0, 200, size)]
    events = [
        event("x" * size, groundingMetadata=grounding(*cited_ones[one], chunks=chunks[one]))
        for one in parts
    ]
    Counted.comparisons = 0
    answer = message([*events, stop()])
    assert Counted.comparisons == 0
    metadata = answer["grounding"]["groundingMetadata"]
    assert (len(metadata["groundingChunks"]), len(metadata["groundingSupports"])) == (200, 200)
    assert [one["groundingChunkIndices"] for one in metadata["groundingSupports"]] == [
        [one.start + at % 2] for one in parts for at in range(one.start, one.stop)
    ]


def test_a_repetition_leaves_the_first_event_as_it_came():
    first, second = grounding(support("Paris")), grounding(support("is", 6))
    message([event("Paris is", groundingMetadata=first), stop(groundingMetadata=second)])
    assert first == grounding(support("Paris"))
