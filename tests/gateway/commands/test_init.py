import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import __version__, config
from gateway.commands import COMMANDS, main
from tests.patience import HANGING_S

ROOT = Path(__file__).parents[3]


def test_the_version_is_told():
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_an_unknown_command_is_refused_with_a_hint():
    result = CliRunner().invoke(main, ["licence"])
    assert result.exit_code == 2
    assert "No such command" in result.output


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in {"serve", "doctor"}])
def test_every_command_describes_itself(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_without_a_command_the_options_are_those_of_serve():
    assert "--check" in CliRunner().invoke(main, ["serve", "--help"]).output
    result = CliRunner().invoke(main, ["--nonsense"])
    assert "serve [OPTIONS]" in result.output


def gateway(folder, *words, stdout=subprocess.PIPE, **environ):
    """Run a command as a process of its own; give status, output and complaints as bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=HANGING_S,
    )
    return done.returncode, done.stdout or b"", done.stderr


def test_nobody_else_on_the_machine_may_read_the_database(tmp_path):
    before = os.umask(0o022)
    try:
        status, _, err = gateway(tmp_path, "license", "create")
    finally:
        os.umask(before)
    assert status == 0, err
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "gateway.db": 0o600
    }


@pytest.mark.parametrize("charset", ["ascii", "gbk"])
def test_a_terminal_that_cannot_show_a_text_loses_no_key(tmp_path, charset):
    """A key is shown once: an error behind its making would leave nobody who knows it."""
    words = ("license", "create", "--id", "a", "--owner", "爱丽丝", "--key", "密钥 🗝")
    status, out, err = gateway(tmp_path, *words, PYTHONIOENCODING=charset)
    assert (status, out[:3]) == (0, b"a: "), err
    status, out, err = gateway(tmp_path, "license", "list", PYTHONIOENCODING=charset)
    assert status == 0, err
    assert "爱丽丝".encode(charset, "backslashreplace") in out
    for words in (("list", "--json"), ("export", "--csv")):
        status, out, err = gateway(tmp_path, "license", *words, PYTHONIOENCODING=charset)
        assert status == 0, err
        assert "爱丽丝" in out.decode(), "programs get UTF-8"
        assert "--csv" in words or json.loads(out)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("list",), ("export", "--csv")])
def test_output_that_finds_no_room_is_told_in_a_line(tmp_path, words, unbuffered):
    with Path("/dev/full").open("w") as full:
        status, _, err = gateway(
            tmp_path, "license", *words, stdout=full, PYTHONUNBUFFERED=unbuffered
        )
    assert (status, err) == (1, b"Error: cannot write: No space left on device\n")


@pytest.mark.parametrize(
    "words",
    [
        ("license", "create", "--owner", b"\xb0\xae"),
        ("license", "show", b"\xb0\xae"),
        ("usage", "--license", b"\xb0\xae"),
    ],
)
def test_an_argument_in_another_charset_is_refused_and_not_quoted(tmp_path, words):
    status, _, err = gateway(tmp_path, *words)
    assert status == 2
    assert err.splitlines()[-1] == b"Error: Argument %d is not UTF-8 text." % len(words)


def test_a_file_may_have_a_name_in_another_charset(tmp_path):
    name = b"\xb0\xae.csv"
    (tmp_path / os.fsdecode(name)).write_text("name,key\nbob,sk-bob\n")
    status, out, err = gateway(tmp_path, "license", "import", name)
    assert (status, out.splitlines()[-1]) == (0, b"1 added, 0 duplicate, 0 invalid"), err


@pytest.mark.parametrize("words", [("serve", "--check"), ("license", "list")])
def test_a_file_that_may_not_be_read_is_told_by_the_configuration(tmp_path, monkeypatch, words):
    """By its status a supervisor knows that another start will not help."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").touch()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(config, "content", _denied)
    result = CliRunner().invoke(main, [*words, "--config", "a.toml"])
    assert (result.exit_code, result.output) == (
        78,
        "gateway: a.toml: cannot be read: Permission denied\n",
    )


def _denied(_):
    raise PermissionError(errno.EACCES, "Permission denied")
