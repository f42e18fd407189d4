"""What the READMEs say is followed literally, in front of a demo."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway import config, plugins
from gateway.settings import Settings
from tests.demo_process import ROOT, demo, shell

FILES = ("README.md", "README.zh-CN.md")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")
BASE = "http://127.0.0.1:8080/gemini"


class Block(NamedTuple):
    """One fenced block."""

    language: str
    text: str


def blocks(name: str, *, holding: str = "", language: str = "") -> list[Block]:
    found = [Block(*match.groups()) for match in FENCE.finditer((ROOT / name).read_text())]
    return [one for one in found if holding in one.text and language in {"", one.language}]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Iterator[str]:
    with demo(tmp_path_factory.mktemp("demo")) as (url, _):
        yield url


def test_both_say_the_same():
    """Equal code but for the words in it, equal sections, equal links."""
    one, other = ((ROOT / name).read_text() for name in FILES)
    for count in ("\n## ", "\n# ", "\n- "):
        assert one.count(count) == other.count(count)
    links = [
        [link for link in LINK.findall(text) if not link.startswith("README")]
        for text in (one, other)
    ]
    assert sorted(links[0]) == sorted(links[1])
    words = [set(re.findall(r"`[^`\n]+`", FENCE.sub("", text))) for text in (one, other)]
    assert words[0] == words[1]
    assert one.count("\n\n") == other.count("\n\n")
    content = re.compile(r'("content": )"[^"]*"')
    codes = [[content.sub(r"\1...", block.text) for block in blocks(name)] for name in FILES]
    assert codes[0] == codes[1]


def test_chinese_is_set_as_usual():
    """Spaces between Chinese and Latin or code, and full-width punctuation after Chinese."""
    text = FENCE.sub("", (ROOT / "README.zh-CN.md").read_text())
    shown = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    chinese = "[\u4e00-\u9fff]"
    for wrong in (f"{chinese}[\\w`]", f"[\\w`]{chinese}"):
        assert re.findall(wrong, shown, re.ASCII) == []
    assert re.findall(f"{chinese}[,.;:!?()]|[，。；：！？（）、] ", shown) == []
    # A line break would show as a space.
    assert re.findall(f"{chinese}\n{chinese}|[，。；：、]\n\\S", shown) == []


@pytest.mark.parametrize("name", FILES)
def test_links_lead_somewhere(name):
    for link in LINK.findall((ROOT / name).read_text()):
        assert link.startswith("https://") or (ROOT / link).exists(), link


@pytest.mark.parametrize("name", FILES)
def test_the_targets_of_make_exist(name):
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"\bmake (\w+)", (ROOT / name).read_text())
    assert {"demo", "run", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_the_first_request_with_curl_works(name, base, tmp_path):
    (block,) = blocks(name, holding="curl ", language="sh")
    assert '"finish_reason":"stop"' in shell(block.text.replace(BASE, base), tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_the_first_request_with_the_sdk_works(name, base, tmp_path):
    (block,) = blocks(name, holding="from openai", language="python")
    (tmp_path / "first.py").write_text(block.text.replace(BASE, base))
    assert len(shell(f"{sys.executable} -W error first.py", tmp_path)) > 10


@pytest.mark.parametrize("name", FILES)
def test_the_commands_are_understood(name, tmp_path):
    lines = [
        line
        for block in blocks(name, language="sh")
        for line in block.text.splitlines()
        if line.startswith("python -m gateway")
    ]
    assert len(lines) == 2
    (tmp_path / "config.toml").write_text((ROOT / "config.toml").read_text())
    for line in lines:
        command = line.replace("python", sys.executable, 1)
        if "license create" in command:
            command = f"GATEWAY_DATABASE__URL=sqlite+aiosqlite:///own.db {command}"
        assert shell(command, tmp_path, GEMINI_API_KEY="k")


@pytest.mark.parametrize("name", FILES)
def test_the_complete_configuration_is_one(name, tmp_path):
    (block,) = blocks(name, holding="ALICE_LICENSE", language="toml")
    path = tmp_path / "config.toml"
    path.write_text(block.text)
    settings = config.load(path, {"GEMINI_API_KEY": "k", "ALICE_LICENSE": "secret-of-alice"})
    config.require_credentials(settings)
    assert settings.licenses[0].requests_per_minute == 60


@pytest.mark.parametrize("name", FILES)
def test_the_middleware_fits_into_the_chain(name, tmp_path, monkeypatch):
    (code,) = blocks(name, holding="class AllowList", language="python")
    (chain,) = blocks(name, holding="acme_models:AllowList", language="toml")
    (tmp_path / "acme_models.py").write_text(code.text)
    (tmp_path / "config.toml").write_text(chain.text)
    monkeypatch.syspath_prepend(tmp_path)
    settings = config.load(Path(tmp_path / "config.toml"), {})
    try:
        plugins.require_whole(plugins.load(settings.middlewares))
    finally:
        sys.modules.pop("acme_models", None)


@pytest.mark.parametrize("name", FILES)
def test_the_chain_lacks_nothing_of_the_one_that_holds_without_it(name):
    """What is left out of a chain is not there: limits and scopes would not hold."""
    (chain,) = blocks(name, holding="acme_models:AllowList", language="toml")
    uses = [table["use"] for table in tomllib.loads(chain.text)["middlewares"]]
    uses.remove("acme_models:AllowList")
    assert uses == [table["use"] for table in Settings().middlewares]
