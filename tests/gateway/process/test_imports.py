import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from gateway.process.imports import without

ROOT = Path(__file__).parents[3]


def test_what_is_not_to_be_imported_can_be_imported_afterwards():
    with without("this"), pytest.raises(ImportError):
        import_module("this")
    assert "this" not in sys.modules


def test_what_is_imported_already_stays():
    with without("json"):
        assert import_module("json") is sys.modules["json"]
    assert sys.modules["json"].loads("1") == 1


CHECK = """
import runpy, sys
sys.argv[1:] = ["serve", "--check"]
try:
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
finally:
    print(*sys.modules)
"""


def test_a_process_imports_no_large_libraries_that_it_does_not_use(tmp_path):
    (tmp_path / "config.toml").write_text("[state]\nurl = 'redis://localhost'")
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GEMINI_API_KEY": "key"},
        capture_output=True,
        check=True,
    )
    imported = set(done.stdout.decode().split())
    assert {"structlog", "redis.asyncio", "sqlalchemy.dialects.sqlite"} <= imported
    unused = {"rich", "alembic", "numpy", "opentelemetry.metrics", "sqlalchemy.dialects.postgresql"}
    assert not imported & unused
