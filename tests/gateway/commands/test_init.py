import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.commands import COMMANDS, main


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
