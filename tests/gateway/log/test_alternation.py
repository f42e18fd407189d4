import random

import pytest

from gateway.log.alternation import any_of


def test_no_text_makes_no_pattern():
    assert any_of([]) is None
    assert any_of([b""]) is None


@pytest.mark.parametrize(
    ("texts", "line", "left"),
    [
        ([b"abcd"], b"xabcdx", b"x_x"),
        ([b"abcd", b"abcdef"], b"abcdef abcde abcd", b"_ _e _"),
        ([b"ab", b"cd"], b"abcd acbd", b"__ acbd"),
        ([b"a.b", b"(c", b"[d", b"\\e", b"f|"], b"a.b axb (c [d \\e f|", b"_ axb _ _ _ _"),
        ([b"key-1", b"key-10", b"key-2"], b"key-1 key-10 key-100 key-3", b"_ _ _0 key-3"),
        (["schlüssel".encode()], "der schlüssel".encode(), b"der _"),
    ],
)
def test_each_text_is_found_the_longest_first(texts, line, left):
    assert any_of(texts).sub(b"_", line) == left


def test_texts_that_are_each_the_beginning_of_the_next():
    pattern = any_of(b"a" * length for length in range(4, 1_100))
    assert pattern.sub(b"_", b"a" * 1_099 + b"b") == b"_b"
    assert pattern.sub(b"_", b"aaa") == b"aaa"


def test_any_texts():
    chance = random.Random(7)
    for _ in range(300):
        texts = [bytes(chance.choices(b"ab.", k=chance.randint(1, 6))) for _ in range(9)]
        pattern = any_of(texts)
        for text in texts:
            assert pattern.fullmatch(text)
        other = bytes(chance.choices(b"ab.", k=chance.randint(1, 6)))
        assert (pattern.fullmatch(other) is not None) == (other in texts)
