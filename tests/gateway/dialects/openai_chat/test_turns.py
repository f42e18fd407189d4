"""What the next turn needs of this one."""

import orjson
import pytest

from gateway.dialects.openai_chat import turns


def test_a_plain_answer_leaves_nothing():
    assert turns.memory_entries([{"text": "Hi"}], "Hi", []) == []
    assert turns.memory_entries([{"text": "Hi "}, {"text": "you"}], "Hi you", []) == []


def test_a_call_leaves_its_signature_and_native_id():
    parts = [
        {"functionCall": {"name": "f", "id": "n"}, "thoughtSignature": "s"},
        {"functionCall": {"name": "f"}},
    ]
    found = dict(turns.memory_entries(parts, "", [{"id": "1"}, {"id": "2"}]))
    assert orjson.loads(found[turns.call_key("1")]) == {"s": "s", "i": "n"}
    assert orjson.loads(found[turns.call_key("2")]) == {}


def test_a_turn_that_speaks_behind_a_call_keeps_its_order():
    """A message tells its text first, and Gemini signs the turn as it wrote it."""
    parts = [{"functionCall": {"name": "f"}, "thoughtSignature": "s"}, {"text": "x"}]
    found = dict(turns.memory_entries(parts, "x", [{"id": "1"}]))
    turn = orjson.loads(found[turns.text_key("x")])["t"]
    assert turns.restore(turn, parts[:1], []) == parts
    in_order = turns.memory_entries([parts[1], parts[0]], "x", [{"id": "1"}])
    assert [key for key, _ in in_order] == [turns.call_key("1")]


def test_a_call_is_known_by_its_place_too():
    """A legacy call has no id, and some clients give others or none."""
    called = {"name": "f", "args": {"a": 1, "b": 2}}
    parts = [{"functionCall": called, "thoughtSignature": "s"}, {"functionCall": called}]
    origin = turns.Origin(occasion="x")
    found = turns.memory_entries(parts, "", [{"function": "f"}, {"id": "2"}], origin=origin)
    place = [turns.nameless_key("x", at, "f", {"b": 2, "a": 1}) for at in range(2)]
    assert [key for key, _ in found] == [place[0], turns.call_key("2"), place[1]]
    assert found[1][1] == found[2][1] != found[0][1]
    assert turns.nameless_key("y", 0, "f", {"a": 1, "b": 2}) not in place
    assert turns.nameless_key("x", 0, "f", {"a": 1}) not in place
    assert turns.memory_entries(parts, "", [{"function": "f"}]) == []


ASKED = {"role": "user", "content": "Look"}
POLL = [{"role": "assistant", "content": None}, {"role": "tool", "content": "wait"}]


@pytest.mark.parametrize(
    "other",
    [
        [],
        [ASKED, *POLL],
        [{"role": "user", "content": "Look!"}, *POLL * 3],
        [ASKED, *POLL * 2, POLL[0], {"role": "tool", "content": "done"}],
        [ASKED, *POLL * 2, {"role": "assistant", "content": "Hm"}, POLL[1]],
        [ASKED, *POLL * 4],
        [{"role": "user", "content": "a" * 1_500 + "b" + "a" * 1_500}, *POLL * 3],
    ],
)
def test_an_occasion_is_that_of_one_answer(other):
    history = [ASKED, *POLL * 3]
    one = turns.occasion(history, len(history))
    assert one == turns.occasion([*history, *POLL], len(history))
    assert one != turns.occasion(other, len(other))


def test_an_occasion_does_not_depend_on_the_form_of_a_text_and_is_short():
    text = "a" * 9_000_000
    plain, parted = ([{"role": "user", "content": body}] for body in (text, [{"text": text}, {}]))
    assert turns.occasion(plain, 1) == turns.occasion(parted, 1)
    assert len(turns.occasion(plain, 1)) < 10_000
    assert turns.occasion(plain, 1) != turns.occasion([{"role": "user", "content": text + "a"}], 1)


def test_calls_keep_their_places_among_other_parts():
    first, second = ({"functionCall": {"name": name, "args": {}}} for name in "ab")
    code = {"executableCode": {"code": "1"}}
    parts = [first, code, second, code]
    found = dict(turns.memory_entries(parts, "", [{"id": "1"}, {"id": "2"}]))
    turn = orjson.loads(found[turns.call_key("1")])["t"]
    assert turns.restore(turn, [first, second], []) == parts


def test_what_a_turn_answers_is_the_last_text_before_it():
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image_url"}]
    asked = [{"role": "user", "content": texts}, {"role": "developer", "content": "c"}]
    assert turns.question(asked, 2) == "b"


def test_images_are_kept_by_place_only_and_sound_not_at_all():
    parts = [
        {"text": "See"},
        {"inlineData": {"mimeType": "image/png", "data": "A" * 9_999}, "thoughtSignature": "s"},
        {"inlineData": {"mimeType": "audio/L16", "data": "A" * 9_999}},
    ]
    key = turns.image_key("A" * 9_999)
    found = dict(turns.memory_entries(parts, "See it", [], [key]))
    assert orjson.loads(found[key]) == {"s": "s"}
    turn = [{"text": "See"}, {"image": 0}]
    assert orjson.loads(found[turns.text_key("See it", [key])]) == {"t": turn}


def test_blanks_between_text_and_images_do_not_matter_but_the_images_do():
    key = turns.text_key("See it", ["image/1", "image/2"])
    assert turns.text_key("See\n\nit\n", ["image/1", "image/2"]) == key
    assert turns.text_key("See it", ["image/1"]) != key != turns.text_key("See it")
    assert turns.text_key("Saw it", ["image/1", "image/2"]) != key
    assert turns.text_key("", ["image/1"]) is not None


def test_a_turn_whose_images_are_gone_cannot_be_restored():
    assert turns.restore([{"image": 0}], [], []) is None


def test_calls_that_the_client_added_stay():
    calls = [{"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}}]
    assert turns.restore([{"text": "x"}, {"call": 0}], calls, []) == [{"text": "x"}, *calls]


def test_blanks_around_a_text_do_not_matter_and_an_empty_one_has_no_key():
    assert turns.text_key(" a\n") == turns.text_key("a") != turns.text_key("b")
    assert turns.text_key(" ") is None


def test_a_lone_surrogate_and_a_long_id_have_keys_too():
    assert turns.text_key("\ud800")
    assert len(turns.call_key("x" * 10_000)) < 100


@pytest.mark.parametrize("stored", [b"{broken", None, b"\xff", b"5", b'"text"', b"null", b"[]"])
def test_what_cannot_be_read_is_not_known(stored):
    assert turns.read_entry({"k": stored} if stored else {}, "k") is None
    assert turns.read_entry({}, None) is None


STRANGE = [[5], [[]], ["call"], [{"call": "x"}], [{"image": None}], [{"call": -1}], [{"image": -1}]]


@pytest.mark.parametrize("entry", STRANGE)
def test_a_turn_of_a_strange_shape_is_not_restored(entry):
    calls, images = [{"functionCall": {}}], [{"inlineData": {}}]
    assert turns.restore(entry, calls, images) is None


@pytest.mark.parametrize("call", [{}, {"extra_content": 5}, {"id": 5}, {"function": "x"}])
def test_a_carrier_of_a_strange_shape_carries_nothing(call):
    assert turns.carried_signature(call) is None


def test_a_message_carries_by_call_and_for_its_text():
    message = {
        "reasoning_details": [{"id": "1", "data": "a"}, {"signature": "b"}, {"data": 5}],
        "thinking_blocks": [{"signature": ""}],
    }
    assert turns.carried_signatures(message) == ({"1": "a"}, "b")
    message["extra_content"] = {"google": {"thought_signature": "c"}}
    assert turns.carried_signatures(message) == ({"1": "a"}, "c")


TIED = [{"role": "user", "content": "Is it?"}, {"role": "system", "content": "Be brief"}]


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        ([], ""),
        ([{"role": "system", "content": "Be brief"}], ""),
        (TIED, "Is it?"),
        ([{"role": "user", "content": "x" * 300}], "x" * 200),
        ([{"role": "tool", "content": None}], ""),
        ([{"role": "tool", "content": "ok", "tool_call_id": "1"}], "1\nok"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file"}]}], "a"),
        ([{"role": "user", "content": [{"type": "file"}]}], ""),
    ],
)
def test_a_question_is_the_message_that_is_answered(messages, question):
    assert turns.question(messages, len(messages)) == question


LINES = "one\n\ttwo\n\nthree"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", " \n", "  \r\n", "\t\n"])
def test_line_ends_and_blanks_before_them_do_not_matter(line_end):
    """The signature of a text was lost by clients that trim lines, or end them otherwise."""
    changed = LINES.replace("\n", line_end)
    assert turns.text_key(changed * 20) == turns.text_key(LINES * 20)
    assert turns.text_key(changed, question="a") == turns.text_key(LINES, question="a")
    asked = [
        turns.question([{"role": "user", "content": text * 20 + "\n"}], 1)
        for text in (LINES, changed)
    ]
    assert asked[0] == asked[1] == (LINES * 20)[-200:]


@pytest.mark.parametrize("other", ["one\ntwo\n\nthree", "one\n\ttwo\nthree", "one \ttwo\n\nthree"])
def test_blanks_within_lines_and_empty_lines_do(other):
    assert turns.text_key(other) != turns.text_key(LINES)


def test_a_short_text_is_known_by_its_question_a_long_one_by_itself():
    long = "It is. " * 50
    assert turns.text_key("It is.", question="a") != turns.text_key("It is.", question="b")
    assert turns.text_key(long, question="a") == turns.text_key(long, question="b")
