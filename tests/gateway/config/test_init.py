"""The configuration as a whole: what is read from where, and what is told of mistakes."""

import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway import config
from gateway.settings import ConfigError
from tests.gateway.config.tables import CREDENTIAL, LICENSE


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
        ("upstream.credentials = 'x'", "upstream.credentials: expected `array`, got `str`"),
        ("upstream.credentials = ['x']", "upstream.credentials[0]: must be a table, not text"),
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
        (LICENSE + "key_sha256='xyz'", "licenses[0].key_sha256: expected `str` matching"),
        (LICENSE + f"key_sha256='{'0' * 63}'", "licenses[0].key_sha256: expected `str` matching"),
        (LICENSE + "key='x'\nusd_per_day=inf", "licenses[0].usd_per_day: expected `float` <= "),
        (LICENSE + "key='x'\nusd_per_day=nan", "licenses[0].usd_per_day: expected `float` > 0"),
        (LICENSE + "key='x'\nusd_per_month=1e300", "licenses[0].usd_per_month: expected `float`"),
        (
            LICENSE + f"key='x'\ntokens_per_day={2**60}",
            "licenses[0].tokens_per_day: expected `int`",
        ),
        (LICENSE + "key='x'\nmodels='m'", "licenses[0].models: expected `array`, got `str`"),
        (LICENSE + "key='x'\nexpires='soon'", "licenses[0].expires: invalid RFC3339"),
        ("[models.prices.m]\ninput=inf\noutput=1", "models.prices.m.input: expected `float` <= "),
        ("[models.tiers]\nm=1e300", "models.tiers.m: expected `float` <= "),
        ("[models.prices]\nm = { input = 1 }", "models.prices.m: the option 'output' is missing"),
        (
            "[models.replacements]\nm = { modle = 'x' }",
            "models.replacements.m.modle: unknown option",
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
