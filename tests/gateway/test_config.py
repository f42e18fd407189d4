import os
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway import config
from gateway.config import ConfigError
from gateway.settings import Settings

SECRET = "a-secret-that-must-not-be-told"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Load a text as configuration, with an environment of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "some.toml"

    def load(text: str = "", **environ: str) -> Settings:
        path.write_text(text)
        return config.load(path, environ)

    return load


CREDENTIAL = '[[upstream.credentials]]\nname = "a"\n'
LICENSE = '[[licenses]]\nid = "a"\n'
OTHER = '[[licenses]]\nid = "b"\n'
DIGEST = sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server", "not TOML"),
        ("[server]\nprot = 1", "server.prot: unknown option; did you mean 'port'?"),
        ("[servr]", "servr: unknown option; did you mean 'server'?"),
        ("[log]\nxyzzy = 1", "log.xyzzy: unknown option; known: format, level"),
        ("server = 1", "server: must be a table, not a number"),
        ("models = 'x'", "models: must be a table, not text"),
        ("[server]\nport = 'x'", "server.port: expected `int`, got `str`"),
        ("[server]\nport = 70000", "server.port: expected `int` <= 65535"),
        ("[server]\nport = true", "server.port: expected `int`, got `bool`"),
        ("[server]\nworkers = 0", "server.workers: expected `int` >= 1"),
        ("[server]\nheader_timeout_s = 0", "server.header_timeout_s: expected `float` > 0"),
        ("[server]\nprefix = 'x y'", "server.prefix: expected `str` matching"),
        (
            "[upstream]\nkeepalive = 'loud'",
            "upstream.keepalive: invalid enum value 'loud'; one of: chunk",
        ),
        ("[upstream]\nbase_url = 'ftp://x'", "upstream.base_url: must look like https://"),
        ("[upstream]\nbase_url = 'https://'", "upstream.base_url: must look like https://"),
        ("[upstream]\nbase_url = 'http://x:abc'", "upstream.base_url: Port could not be cast"),
        ("[upstream]\nbase_url = 'http://x:70000'", "upstream.base_url: Port out of range"),
        ("[upstream]\nbase_url = 'http://[::1'", "upstream.base_url: Invalid IPv6 URL"),
        ("upstream.credentials = 'x'", "upstream.credentials: expected `array`, got `str`"),
        ("upstream.credentials = ['x']", "upstream.credentials[0]: must be a table, not text"),
        (CREDENTIAL, "upstream.credentials[0]: give exactly one of key, key_env, key_file; none"),
        (CREDENTIAL + "key='x'\nkey_env='Y'", "key, key_env, key_file; key and key_env is given"),
        (
            CREDENTIAL + "weigth = 1",
            "upstream.credentials[0].weigth: unknown option; did you mean 'weight'?",
        ),
        (
            CREDENTIAL + "weight = 0\nkey='x'",
            "upstream.credentials[0].weight: expected `float` > 0",
        ),
        (
            "[[upstream.credentials]]\nkey='x'",
            "upstream.credentials[0]: the option 'name' is missing",
        ),
        (CREDENTIAL + "key=' '", "upstream.credentials[0].key: the secret is empty"),
        (CREDENTIAL + "key='a\\u00e9'".replace("'", '"'), "characters that no Gemini key has"),
        (
            CREDENTIAL + "key_env='UNSET'",
            "upstream.credentials[0].key_env: the environment variable UNSET",
        ),
        (CREDENTIAL + "key_file='/none'", "upstream.credentials[0].key_file: /none cannot be read"),
        (
            CREDENTIAL + "key='x'\n" + CREDENTIAL + "key='y'",
            "upstream.credentials[1]: the name 'a'",
        ),
        (LICENSE, "licenses[0]: give exactly one of key, key_env, key_file, key_sha256"),
        (LICENSE + "key='x'\n" + LICENSE + "key='y'", "licenses[1]: the name 'a' is used twice"),
        (LICENSE + "key_sha256='xyz'", "licenses[0].key_sha256: expected `str` matching"),
        (LICENSE + f"key_sha256='{'0' * 63}'", "licenses[0].key_sha256: expected `str` matching"),
        (LICENSE + "key='x'\n" + OTHER + "key='x'", "licenses[1]: has the same key as licenses[0]"),
        (
            LICENSE + f"key_sha256='{DIGEST.upper()}'\n" + OTHER + "key=' Bearer x '",
            "licenses[1]: has the same key as licenses[0]",
        ),
        (LICENSE + "key='x'\nusd_per_day=inf", "licenses[0].usd_per_day: expected `float` <= "),
        (LICENSE + "key='x'\nusd_per_day=nan", "licenses[0].usd_per_day: expected `float` > 0"),
        (LICENSE + "key='x'\nusd_per_month=1e300", "licenses[0].usd_per_month: expected `float`"),
        (
            LICENSE + f"key='x'\ntokens_per_day={2**60}",
            "licenses[0].tokens_per_day: expected `int`",
        ),
        (LICENSE + "key='x'\ntimezone='Mars'", "licenses[0].timezone: 'Mars' is not a time zone"),
        (LICENSE + "key='x'\nnetworks=['1.2.3.4/99']", "licenses[0].networks[0]: '1.2.3.4/99'"),
        (LICENSE + "key='x'\nmodels='m'", "licenses[0].models: expected `array`, got `str`"),
        (LICENSE + "key='x'\nexpires='soon'", "licenses[0].expires: invalid RFC3339"),
        (
            "[server]\ntrusted_proxies=['1.2.3.4/8']",
            "server.trusted_proxies[0]: 1.2.3.4/8 has host bits",
        ),
        ("[media]\nallow_hosts=['a', 'b:c']", "media.allow_hosts[1]: 'b:c' has no number"),
        ("[media]\nallow_hosts=['10.0.0.0/40']", "media.allow_hosts[0]: '10.0.0.0/40' does not"),
        ("[server]\nworkers = 2", "server.workers: several processes must share their counters"),
        (
            "[server]\nworkers=2\n[state]\nurl='embedded://'\n[admin]\nport=65535",
            "admin.port: worker 2 would have port 65536",
        ),
        ("[models.prices.m]\ninput=inf\noutput=1", "models.prices.m.input: expected `float` <= "),
        ("[models.tiers]\nm=1e300", "models.tiers.m: expected `float` <= "),
        ("[models.prices]\nm = { input = 1 }", "models.prices.m: the option 'output' is missing"),
        (
            "[models.replacements]\nm = { modle = 'x' }",
            "models.replacements.m.modle: unknown option",
        ),
        (
            "[models.replacements]\nz = {model='a'}\na = {model='b'}\nb = {model='a'}",
            "models.replacements.z: leads in a circle: z -> a -> b -> a",
        ),
        (
            "[models.replacements]\n'gemini-2.5-flash' = {model='gemini-2.5-flash-preview-05-20'}",
            "gemini-2.5-flash-preview-05-20 -> gemini-2.5-flash -> gemini-2.5-flash-preview-05-20",
        ),
        (
            "[models.prices.m]\ninput = 1\noutput = 1\nlong = { above = 5, input = 1 }",
            "models.prices.m.long: the option 'output' is missing",
        ),
        (
            "[models.prices.m]\ninput = 1\noutput = 1\nlong = 5",
            "models.prices.m.long: must be a table, not a number",
        ),
        (
            "[models.prices.m]\ninput = 1\noutput = 1\nnext = { input = 1, output = 1, from = 1 }",
            "models.prices.m.next.from: unknown option",
        ),
        (
            "[models.prices.m]\ninput=1\noutput=1\nnext={input=1,output=1,since='soon'}",
            "models.prices.m.next.since: ",
        ),
        ("[models.aliases]\nm = 1", "models.aliases.m: expected `str`, got `int`"),
        ('[models.aliases]\n"a/b" = "c"', "models.aliases.a/b: 'a/b' is no name of a model"),
        ('[models.aliases]\nsmart-thinking = "c"', "'smart-thinking' is no name of a model"),
        ('[models.aliases]\nfast = "c-nothinking"', "fast: 'c-nothinking' is no name of a model"),
        ("middlewares = 'x'", "middlewares: expected `array`, got `str`"),
    ],
)
def test_each_mistake_is_told_with_its_path(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("GATEWAY_SERVR__PORT", "1", "no section 'servr'; did you mean 'server'?"),
        ("GATEWAY_SERVER__PROT", "1", "no option 'prot'; did you mean 'port'?"),
        ("GATEWAY_SERVER__PORT", "x", "GATEWAY_SERVER__PORT: expected `int`, got `str`"),
        ("GATEWAY_SERVER__TRUSTED_PROXIES", "x", "only be set in the file"),
        ("GATEWAY_CHAT__SAFETY", "x", "only be set in the file"),
        ("GATEWAY_UPSTREAM__CREDENTIALS", "x", "only be set in the file"),
    ],
)
def test_each_mistake_in_the_environment_is_told_with_its_variable(load, name, value, complaint):
    with pytest.raises(ConfigError) as caught:
        load("", **{name: value})
    assert str(caught.value).startswith(name)
    assert complaint in str(caught.value)


def test_the_environment_overrides_every_kind_of_scalar(load):
    settings = load(
        "[server]\nport = 1",
        GATEWAY_SERVER__PORT="9000",
        GATEWAY_SERVER__ROOT_ALIASES="true",
        GATEWAY_SERVER__DRAIN_TIMEOUT_S="2.5",
        GATEWAY_STATE__URL="redis://host",
        GATEWAY_LOG__LEVEL="debug",
        GATEWAY_OTHER="not an override",
    )
    assert (settings.server.port, settings.server.root_aliases) == (9000, True)
    assert settings.server.drain_timeout_s == 2.5
    assert (settings.state.url, settings.log.level) == ("redis://host", "debug")


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


def test_without_any_credential_the_two_ways_and_the_demo_are_named(load):
    with pytest.raises(ConfigError, match=r"GEMINI_API_KEY.*upstream\.credentials.*demo"):
        config.require_credentials(load())


@pytest.mark.parametrize(
    ("expires", "moment"),
    [
        ("2027-01-01", datetime(2027, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))),
        ("2027-01-01T08:00:00", datetime(2027, 1, 1, 8, tzinfo=ZoneInfo("Asia/Shanghai"))),
        ("2027-01-01T08:00:00Z", datetime(2027, 1, 1, 8, tzinfo=ZoneInfo("UTC"))),
    ],
)
def test_an_expiry_is_a_moment_in_the_time_zone_of_its_license(load, expires, moment):
    settings = load(LICENSE + f"key = 'x'\ntimezone = 'Asia/Shanghai'\nexpires = {expires}")
    assert settings.licenses[0].expires == moment


def test_the_file_adds_to_the_shipped_tables_name_by_name(load):
    models = load(
        '[models.replacements]\n"gemini-2.0-flash" = { model = "mine" }\n"old" = { model = "new" }'
    ).models
    assert models.replacements["gemini-2.0-flash"].model == "mine"
    assert models.replacements["old"].model == "new"
    # One that is not to be replaced at all.
    name = "gemini-2.0-flash"
    models = load(f'[models.replacements]\n"{name}" = {{ model = "{name}" }}').models
    assert models.replacements[name].model == name
    assert models.replacements["gemini-2.5-flash-preview-05-20"].model == "gemini-2.5-flash"
    assert models.prices["gemini-2.5-flash"].output == 2.5


def test_without_a_file_the_defaults_hold(load, tmp_path):
    assert config.load(None, {}) == load("")


def test_the_file_is_the_one_named_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text("[server]\nport = 1")
    (tmp_path / "other.toml").write_text("[server]\nport = 2")
    assert config.load(None, {}).server.port == 1
    assert config.load(None, {"GATEWAY_CONFIG": "other.toml"}).server.port == 2
    assert config.load(Path("config.toml"), {"GATEWAY_CONFIG": "other.toml"}).server.port == 1


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "none.toml", {})


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(tmp_path / "a.toml", {})


def test_commands_that_need_no_secret_read_without_looking_one_up(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(CREDENTIAL + "key_env = 'UNSET'")
    assert config.read(path, {}).upstream.credentials[0].key_env == "UNSET"
    assert "UNSET" not in os.environ


def test_files_of_editors_that_put_a_mark_before_the_text_are_read(tmp_path):
    """What Notepad saves as UTF-8 begins with one."""
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfAIza-key\r\n")
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf" + f"{CREDENTIAL}key_file = '{tmp_path}/key'".encode())
    assert config.load(path, {}).upstream.credentials[0].key == "AIza-key"


@pytest.mark.parametrize("key", ["密钥", "a\nb", "\udcb0"])
def test_a_key_of_the_environment_is_one_that_can_be_sent(load, key):
    with pytest.raises(ConfigError, match=r"^GEMINI_API_KEY: the key holds characters") as caught:
        load("", GEMINI_API_KEY=key)
    assert key not in str(caught.value)


def test_a_license_that_covers_no_model_is_refused(load):
    with pytest.raises(ConfigError, match=r"licenses\[0\]\.models: an empty text covers no model"):
        load(LICENSE + 'key = "k"\nmodels = ["a", ""]')


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[upstream.credentials]]\nname = " "\nkey = "k"', "upstream.credentials[0]: the name is"),
        ('[[licenses]]\nid = ""\nkey = "k"', "licenses[0]: the name is empty"),
        ('[upstream]\nbase_url = "https://h/?a=b"', "upstream.base_url: must look like"),
        ('[upstream]\nbase_url = "https://u:p@h"', "upstream.base_url: must look like"),
        (
            '[cors]\norigins = ["example.org"]',
            "cors.origins[0]: 'example.org' is no origin such as",
        ),
        ('[cors]\norigins = ["*", "https://a.b/"]', "cors.origins[1]: 'https://a.b/' is no origin"),
        ('[cors]\norigins = ["https://A.b"]', "cors.origins[0]: 'https://A.b' is no origin"),
        (
            "[server]\nmax_buffered_bytes = 1_000",
            "server.max_body_bytes: is larger than server.max_b",
        ),
        ("[admin]\nport = 8080", "admin.port: is that of server.port, 8080"),
    ],
)
def test_values_with_which_nothing_could_work_are_refused(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value).startswith(complaint)


def test_origins_are_taken_as_browsers_write_them(load):
    origins = ["*", "null", "https://example.org", "http://localhost:3000", "http://[::1]:8080"]
    origins += ["chrome-extension://abcdef"]
    assert load(f"[cors]\norigins = {origins}").cors.origins == tuple(origins)
