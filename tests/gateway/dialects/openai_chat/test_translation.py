"""What all parts of one translation share."""

import pytest

from gateway import models
from gateway.dialects.openai_chat import tools
from gateway.dialects.openai_chat.request import outputs
from gateway.dialects.openai_chat.translation import Translation
from gateway.exchange import Known, Notes

MODEL = "gemini-2.5-flash"


def translation(google=None, **payload):
    name = models.parse(MODEL)
    can = models.capabilities(MODEL)
    known = Known(exchange_id="1")
    return Translation(payload, known, Notes(), MODEL, name, can, google or {}, [])


def test_it_tells_whether_one_of_the_fields_was_sent():
    fields = frozenset({"tools", "functions"})
    assert translation(tools=[]).has_any(fields)
    assert not translation(messages=[], stream=True).has_any(fields)


def test_native_fields_may_mean_any_of_them():
    assert translation(google={"tools": []}).has_any(frozenset({"tools"}))


def test_what_the_model_cannot_do_is_noted_as_dropped():
    one = translation()
    one.note_drop("audio")
    assert one.notes.adjusted == {"audio": "dropped;reason=model"}


class Watched(dict):
    """A payload that remembers which fields were looked at."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def get(self, name, default=None):
        self.seen.add(name)
        return default


@pytest.mark.parametrize("part", [tools, outputs])
def test_a_part_looks_at_no_field_that_it_does_not_name(part):
    # A field it reads without naming it would be passed over when it is sent alone.
    one = translation(google={"unknown": True})
    one.payload = Watched()
    if part is tools:
        tools.translate(one).put_into({}, one)
    else:
        outputs.put_into({}, one)
    assert one.payload.seen
    assert one.payload.seen <= part._FIELDS
