"""License keys as they come in headers, and as they are kept."""

import hashlib

import pytest

from gateway.licenses.digest import digest, new_key, normalised


@pytest.mark.parametrize(
    "header",
    ["secret", " secret ", "Bearer secret", "bearer   secret ", "BEARER secret", "\tsecret"],
)
def test_one_license_has_one_form(header):
    assert normalised(header) == "secret"


@pytest.mark.parametrize("key", ["gw-a-b", "sk-x-y-z", "含中文的许可证", "a b", "Bearerx"])
def test_nothing_inside_a_key_is_touched(key):
    assert normalised(key) == key
    assert normalised(f"Bearer {key}") == key


def test_what_is_kept_is_a_sha256():
    assert digest("secret") == hashlib.sha256(b"secret").digest()
    assert len(digest("\udcff")) == 32


def test_a_new_key_is_ascii_names_its_license_and_is_never_the_same():
    keys = {new_key("alice") for _ in range(100)}
    assert len(keys) == 100
    assert all(key.isascii() and key.startswith("gw-alice-") for key in keys)
    assert all(len(key) - len("gw-alice-") == 32 for key in keys)
