import pytest
from click.testing import CliRunner

from gateway.commands import main


@pytest.fixture
def run_license(tmp_path, monkeypatch):
    """Return what runs `license` in a plain folder, and gives its output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)

    def run_license(*words, status=0):
        result = CliRunner().invoke(main, ["license", *words])
        assert result.exit_code == status, result.output
        return result.output

    return run_license
