"""The commands, one per module, each imported only when it is used."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.guard import MiddlewareFault
from gateway.network.sockets import StartError
from gateway.process import signals
from gateway.process.supervisor import FATAL_STATUS
from gateway.settings import ConfigError

COMMANDS = {
    "serve": "gateway.commands.serve:serve",
    "demo": "gateway.commands.demo:demo",
    "doctor": "gateway.commands.doctor:doctor",
    "license": "gateway.commands.license:license_",
    "usage": "gateway.commands.usage:usage",
}
DEFAULT = "serve"
# Those that handle signals themselves.
SERVING = {"serve", "demo"}
OWN_OPTIONS = {"--help", "-h", "--version"}

config_option = click.option(
    "--config",
    "path",
    type=click.Path(readable=False, path_type=Path),
    help="Default: the path in $GATEWAY_CONFIG, else config.toml.",
)


class Commands(click.Group):
    """The group of `COMMANDS`; without a command its arguments are those of `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command named *cmd_name*."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in SERVING:
            signals.let_through()
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command before options that are not the group's own."""
        for number, arg in enumerate(args, 1):
            # File names may be of any bytes. The argument is not quoted, as it may be a key.
            if not _is_text(arg) and not Path(arg).exists():
                raise click.UsageError(f"Argument {number} is not UTF-8 text.", ctx)
        if not args or (args[0].startswith("-") and args[0] not in OWN_OPTIONS):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; output beyond the terminal's charset is escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _discard_unwritten()
            raise click.ClickException(f"cannot write: {error.strerror}") from None


def _discard_unwritten() -> None:
    """Discard output that found no room: retrying at exit would fail with a Python traceback."""
    with suppress(io.UnsupportedOperation), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _is_text(arg: str) -> bool:
    try:
        arg.encode()
    except UnicodeEncodeError:
        return False
    return True


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """Let programs written for OpenAI's API use Google's Gemini."""


@contextmanager
def exiting_on_error() -> Iterator[None]:
    """Turn what keeps a command from starting into one line on standard error and a status."""
    try:
        yield
    except (ConfigError, StartError) as error:
        click.echo(f"gateway: {error}", err=True)
        sys.exit(FATAL_STATUS)
    except MiddlewareFault as error:
        # What was missing may be available at the next start.
        click.echo(f"gateway: {error}", err=True)
        sys.exit(1)
