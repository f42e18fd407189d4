"""A demo of the gateway as a process, for tests that follow what users are told."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import HANGING_S

ROOT = Path(__file__).parents[1]


@contextmanager
def demo(folder: Path) -> Iterator[tuple[str, str]]:
    """Run the demo in *folder* on a free port; give its base URL and the text it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--port", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Stop it"):
                break
        text = "".join(lines)
        found = re.search(r"http://127\.0\.0\.1:\d+/gemini", text)
        assert found, text
        yield found[0], text
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=HANGING_S)
    assert process.returncode == 0, rest
    assert rest == "", f"a demo that works has nothing to complain about:\n{rest}"


def shell(command: str, folder: Path, **environ: str) -> str:
    """Run *command* as a user would paste it; give what it prints."""
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=HANGING_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
