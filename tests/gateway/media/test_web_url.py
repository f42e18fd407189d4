"""A URL has one reading, or it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidMedia
from gateway.media.addresses import Policy
from gateway.media.web_url import UNREACHABLE, _read_twice, parse

POLICY = Policy.of(["localhost:8080"])

READ = {
    "https://example.com/a.png": ("example.com", 443),
    "http://example.com": ("example.com", 80),
    "http://example.com?a": ("example.com", 80),
    "http://example.com#a": ("example.com", 80),
    "HTTPS://EXAMPLE.com/": ("example.com", 443),
    "HTTP://EXAMPLE.com:443/a?b=%2F&c=d%20e#f": ("example.com", 443),
    "https://xn--bcher-kva.example/ü.png": ("xn--bcher-kva.example", 443),
    "https://a_b.example-c.com./x": ("a_b.example-c.com.", 443),
    "http://8.8.8.8/": ("8.8.8.8", 80),
    "http://[2606:2800:220:1::1]/": ("2606:2800:220:1::1", 80),
    "http://localhost:8080/": ("localhost", 8080),
}

REFUSED = [
    "",
    "http://",
    "http:///a.png",
    "http:a.png",
    "//example.com/",
    "ftp://example.com/",
    "ftp://example.com:80/",
    "gopher://example.com/",
    "file:///etc/passwd",
    "http://example.com:8080/",
    "http://example.com:22/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:/",
    "http://example.com:000080/",
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http:\\\\example.com/",
    "http://exa mple.com/",
    "http://example.com/a b",
    "http://example.com/\r\nHost: a",
    "http://example.com/\0",
    "http://example.com\t/",
    "http://example.com/\x7f",
    "http://example.com/\x85",
    "http://example.com/\xa0",
    "http://example.com/\u2028",
    "http://example.com/\u2029",
    "http://example.com/a\\b",
    " http://example.com/",
    "http://ex%61mple.com/",
    "http://127.0.0.1%2f.example.com/",
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://bücher.example/",
    # The sign for kelvin, a lower-case k of which is the letter.
    "http://\u212a.example/",
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://8.8.8.0x/",
    "http://0x7f.0.0.1/",
    "http://8.8.8.0x/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://0.0.0.0/",
    "http://8.8.8.8.8/",
    "http://08.8.8.8/",
    "http://8.8.2056/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1/",
    "http://[127.0.0.1]/",
    "http://[v1.a]/",
    "http://[]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "https://example.com/" + "a" * 9000,
    "https://example.com/\ud800",
]


@pytest.mark.parametrize(("text", "origin"), READ.items())
def test_an_ordinary_url_is_read(text: str, origin: tuple[str, int]):
    target = parse(text, POLICY)
    assert (target.host, target.port) == origin
    assert ((target.url.raw_host or "").lower(), target.url.port) == origin


def test_a_signed_url_goes_out_as_it_came():
    text = "https://example.com/a%2Fb+c;d?X-Sig=%2b%2F=&e=%E4"
    assert str(parse(text, POLICY).url) == text


def test_an_address_has_one_spelling():
    policy = Policy.of(["[fd00::7]:8080"])
    for text in ("http://[fd00::7]:8080/", "http://[FD00:0:0::0007]:8080/"):
        assert parse(text, policy).host == "fd00::7"


@pytest.mark.parametrize(
    "text",
    [
        "http://other.example/",
        "http://example.com:8080/",
        "http://user@example.com/",
        "http://:secret@example.com/",
    ],
)
def test_what_the_libraries_read_otherwise_is_refused_by_itself(text: str):
    with pytest.raises(InvalidMedia):
        _read_twice(text, "example.com", 80)


def test_characters_beyond_ascii_are_quoted():
    assert str(parse("http://example.com/ü?a=é", POLICY).url) == (
        "http://example.com/%C3%BC?a=%C3%A9"
    )


@pytest.mark.parametrize("text", REFUSED)
def test_every_other_url_is_refused_with_one_message(text: str):
    with pytest.raises(InvalidMedia) as caught:
        parse(text, POLICY)
    assert caught.value.message == UNREACHABLE


@given(st.text(max_size=60) | st.from_regex(r"\Ahttps?://[^a]{0,40}\Z"))
def test_any_text_is_read_or_refused(text: str):
    try:
        target = parse(text, POLICY)
    except InvalidMedia:
        return
    assert (target.url.raw_host or "").lower() == target.host
