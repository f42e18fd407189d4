import pytest

from gateway.dialects.openai_chat.reply.choice import Choice
from tests.gateway.dialects.openai_chat.replying import make_reply, run, stop


def make_choice():
    return Choice(0, make_reply()._options)


@pytest.mark.parametrize(
    ("part", "is_kept"),
    [
        ({"text": "x"}, False),
        ({"text": "x", "thoughtSignature": "c2ln"}, True),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, True),
        ({"functionCall": {"name": "f"}}, True),
    ],
)
def test_more_than_plain_text_is_remembered(part, is_kept):
    choice = make_choice()
    choice.add_part(part)
    assert choice.has_more_than_text() is is_kept
    reply = make_reply()
    run(reply, [stop(part)])
    assert bool(reply.memories()) is is_kept


def test_plain_texts_become_one_part():
    choice = make_choice()
    choice.run += b"a"
    choice.run += b"b"
    choice.add_part({"functionCall": {}})
    choice.run += b"c"
    assert choice.content() == "abc"
    assert choice.parts == [{"text": "ab"}, {"functionCall": {}}, {"text": "c"}]


def test_what_is_inserted_comes_behind_what_was_written():
    choice = make_choice()
    choice.run += b"a"
    assert choice.insert("b") == {"content": "b"}
    choice.run += b"c"
    assert choice.content() == "abc"


def test_a_block_begins_on_a_line_of_its_own():
    choice = make_choice()
    assert choice.break_before() == ""
    for text, line in (("a", "\n\n"), ("\n", "\n"), ("\n\n", "")):
        choice.run += text.encode()
        assert choice.break_before() == line


def test_code_awaits_its_result_until_something_follows():
    choice = make_choice()
    assert not choice.awaits_result()
    choice.add_part({"executableCode": {}})
    assert choice.awaits_result()
    choice.run += b"x"
    assert not choice.awaits_result()
