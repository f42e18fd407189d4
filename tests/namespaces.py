"""Run a module of the tests in network and mount namespaces of its own."""

import shutil
import subprocess
import sys

import pytest

UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]


def run_unshared(module: str, given: str = "") -> str:
    """Return what *module* prints when it is *given* this; skip where there are no namespaces."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("needs unshare and ip")
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces are not permitted here")
    run = subprocess.run(
        [*UNSHARE, sys.executable, "-m", module],
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
