"""Compiles the fake upstream and the load generator, once per source."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent


class Unfit(Exception):
    """This machine cannot measure; the message says what is missing."""


def compiled(name: str, *flags: str) -> Path:
    """Return the program compiled from `<name>.c` with *flags*, if that or `wire.h` has changed.

    Raises `Unfit` without a C compiler: a generator in Python would measure itself.
    """
    sources = [SOURCES / f"{name}.c", SOURCES / "wire.h"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"gateway-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise Unfit(f"{folder} belongs to somebody else.")
    program = folder / f"{name}-{digest[:16]}"
    if program.exists():
        return program
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        raise Unfit("A C compiler (cc) is needed: load made in Python would be the limit itself.")
    fresh = program.with_suffix(f".{os.getpid()}")
    subprocess.run([compiler, "-O2", *flags, "-o", fresh, sources[0]], check=True)
    fresh.rename(program)
    return program
