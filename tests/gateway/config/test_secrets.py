"""Secrets: where they come from, and that no complaint holds one."""

import os
from hashlib import sha256

import pytest

from gateway.settings import ConfigError
from tests.gateway.config.tables import CREDENTIAL, LICENSE, OTHER

SECRET = "a-secret-that-must-not-be-told"
DIGEST = sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CREDENTIAL, "upstream.credentials[0]: give exactly one of key, key_env, key_file; none"),
        (CREDENTIAL + "key='x'\nkey_env='Y'", "key, key_env, key_file; not key and key_env"),
        (CREDENTIAL + "key=' '", "upstream.credentials[0].key: the secret is empty"),
        (CREDENTIAL + "key='a\\u00e9'".replace("'", '"'), "characters that no Gemini key has"),
        (
            CREDENTIAL + "key_env='UNSET'",
            "upstream.credentials[0].key_env: the environment variable UNSET",
        ),
        (
            CREDENTIAL + 'key_file="a\\u0000b"',
            "upstream.credentials[0].key_file: 'a\\x00b' cannot be",
        ),
        (CREDENTIAL + "key_file='/none'", "upstream.credentials[0].key_file: /none cannot be read"),
        (LICENSE, "licenses[0]: give exactly one of key, key_env, key_file, key_sha256"),
        (LICENSE + "key='x'\n" + OTHER + "key='x'", "licenses[1]: has the same key as licenses[0]"),
        (
            LICENSE + f"key_sha256='{DIGEST.upper()}'\n" + OTHER + "key=' Bearer x '",
            "licenses[1]: has the same key as licenses[0]",
        ),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_with_its_path(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert complaint in str(caught.value)


def test_a_secret_is_not_read_from_a_pipe(load, tmp_path):
    os.mkfifo(tmp_path / "key")
    with pytest.raises(ConfigError, match="key_file: key cannot be read: it is a pipe or a device"):
        load(CREDENTIAL + "key_file='key'")


def test_secrets_come_from_the_file_the_environment_or_a_file_of_their_own(load, tmp_path):
    (tmp_path / "key").write_text(f"{SECRET}-3\n")
    settings = load(
        "".join(
            f'[[upstream.credentials]]\nname = "{name}"\n{way}\n'
            for name, way in [
                ("a", f'key = "{SECRET}-1"'),
                ("b", 'key_env = "B"'),
                ("c", 'key_file = "key"'),
            ]
        )
        + LICENSE
        + f'key_sha256 = "{"0" * 64}"',
        B=f"{SECRET}-2",
    )
    keys = [credential.key for credential in settings.upstream.credentials]
    assert keys == [f"{SECRET}-1", f"{SECRET}-2", f"{SECRET}-3"]
    assert settings.licenses[0].key_sha256 == "0" * 64
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        CREDENTIAL + f'key = "{SECRET}"\nkey_env = "X"',
        CREDENTIAL + f'key = ["{SECRET}"]',
        CREDENTIAL + f'key = "{SECRET}é"',
        LICENSE + f'key = {{ a = "{SECRET}" }}',
        CREDENTIAL + f'key = "{SECRET}',
    ],
)
def test_no_complaint_holds_a_secret(load, text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert SECRET not in str(caught.value)


def test_the_key_alone_is_configuration_enough(load):
    credentials = load("", GEMINI_API_KEY="k").upstream.credentials
    assert [(one.name, one.key) for one in credentials] == [("main", "k")]


def test_configured_credentials_win_over_the_variable(load):
    credentials = load(CREDENTIAL + "key='own'", GEMINI_API_KEY="k").upstream.credentials
    assert [one.key for one in credentials] == ["own"]


@pytest.mark.parametrize("key", ["密钥", "a\nb", "\udcb0"])
def test_a_key_of_the_environment_is_one_that_can_be_sent(load, key):
    with pytest.raises(ConfigError, match=r"^GEMINI_API_KEY: the key holds characters") as caught:
        load("", GEMINI_API_KEY=key)
    assert key not in str(caught.value)
