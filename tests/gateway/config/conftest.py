from pathlib import Path

import pytest

from gateway import config
from gateway.settings import Settings


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Load a text as configuration, with an environment of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "some.toml"

    def load(text: str = "", **environ: str) -> Settings:
        path.write_text(text)
        return config.load(path, environ)

    return load
