"""What the pages in `docs/` say about the code."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import errors
from gateway.errors import GatewayError
from tests.demo_process import demo
from tests.running import LICENSE, settings_for

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
ROW = re.compile(r"^\| (\d{3}) \| ([^|]+) \|", re.MULTILINE)
EXAMPLES = re.findall(
    r"^```json\n(.+?)^```$", (ROOT / "docs" / "chat.md").read_text(), re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GatewayError)
]


def documented() -> set[tuple[int, str]]:
    return {
        (int(status), code)
        for status, codes in ROW.findall((ROOT / "docs" / "errors.md").read_text())
        for code in re.findall(r"`(\w+)`", codes)
    }


def documented_of_media() -> set[tuple[int, str]]:
    _, _, page = (ROOT / "docs" / "media.md").read_text().partition("## Refusals")
    rows = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    return {(400, code) for row in rows for code in re.findall(r"`(\w+)`", row)}


def sent() -> Iterator[tuple[int | None, str, str]]:
    """Yield the status, if it is seen, and the code of each error that is made, and in which file."""
    statuses = {kind.__name__: kind.status for kind in KINDS}
    for path in sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "middlewares").glob("*.py")]):
        if "simulator" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                status = statuses.get(getattr(node.func, "id", ""))
                values = [given.value for given in node.keywords if given.arg == "code"]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") == "code":
                status, values = None, [node.value]
            else:
                continue
            for value in values:
                whole = constants.get(value.id, value) if isinstance(value, ast.Name) else value
                choices = [whole.body, whole.orelse] if isinstance(whole, ast.IfExp) else [whole]
                for choice in choices:
                    if isinstance(choice, ast.Constant) and isinstance(choice.value, str):
                        yield status, choice.value, path.name


def test_every_code_that_is_sent_is_documented_with_its_status_and_no_other():
    pages = documented() | documented_of_media()
    known = {code for _, code in pages}
    made = list(sent())
    assert len(made) > 30
    missing = [
        (status, code, name)
        for status, code, name in made
        if (code not in known if status is None else (status, code) not in pages)
    ]
    assert missing == []
    assert known == {code for _, code, _ in made} | {kind.default_code for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_documented_with_its_status(kind):
    assert (kind.status, kind.default_code) in documented() | documented_of_media()


def anchors(page: Path) -> set[str]:
    """Give the anchors that a Markdown renderer makes of the headings of *page*."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link, anchor in LINK.findall(page.read_text()):
        target = page.parent / link if link else page
        assert link.startswith("https://") or target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page):
    assert f"](docs/{page.name})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_are_named_exist(page):
    """`section.option` or `[section] option` in a page is an option of the shipped file."""
    config = tomllib.loads((ROOT / "config.toml").read_text())
    text = " ".join(page.read_text().split())
    for section, option in re.findall(r"`([a-z]+)\.([a-z_]+)(?: = [^`]*)?`", text):
        if section in config and isinstance(config[section], dict):
            assert option in config[section], f"{section}.{option}"
    for section, options in re.findall(r"`\[([a-z]+)\]([a-z_ ]*)", text):
        assert section in config
        assert set(options.split()) <= set(config[section])


async def test_the_request_for_vectors_that_is_shown_works(running, simulator):
    page = (ROOT / "docs" / "embeddings.md").read_text()
    asked = json.loads(re.findall(r"```json\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)[0])
    headers = {"Authorization": LICENSE}
    async with running(settings_for(simulator.url)) as gateway:
        url = f"{gateway.url}/v1/embeddings"
        async with gateway.session.post(url, json=asked, headers=headers) as response:
            assert response.status == 200
            assert "x-gateway-dropped" not in response.headers
            assert len((await response.json())["data"][0]["embedding"]) == asked["dimensions"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("example", EXAMPLES)
async def test_requests_that_are_shown_work_as_they_stand(running, simulator, example, streaming):
    """Nothing of them is left out but what the page says so of."""
    asked = json.loads(example)
    async with (
        running(settings_for(simulator.url)) as gateway,
        gateway.post(asked, stream=streaming) as response,
    ):
        assert response.status == 200, await response.text()
        assert "x-gateway-dropped" not in response.headers
        assert "x-gateway-adjusted" not in response.headers
        text = await response.text()
    assert "error" not in text


async def test_native_fields_that_are_named_go_up(running, simulator):
    values = {
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cached_content": "cachedContents/abc",
        "tools": [{"google_maps": {}}],
        "tool_config": {"retrieval_config": {"language_code": "en"}},
        "service_tier": "flex",
        "store": False,
    }
    page = (ROOT / "docs" / "chat.md").read_text()
    [named] = re.findall(r"omitted\), and\s(.+?)\. They take", page, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", named)) == set(values)
    async with running(settings_for(simulator.url)) as gateway:
        for name, value in values.items():
            async with gateway.post(google={"tools": values["tools"], name: value}) as response:
                assert "x-gateway-dropped" not in response.headers, name


def test_all_requests_that_are_shown_are_found():
    assert len(EXAMPLES) == (ROOT / "docs" / "chat.md").read_text().count("```json")
    assert len(EXAMPLES) > 5


def test_the_native_program_that_is_shown_prints_an_answer(tmp_path, capsys):
    page = (ROOT / "docs" / "native.md").read_text()
    [program] = re.findall(r"```python\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)
    with demo(tmp_path) as (url, _):
        program = program.replace("http://127.0.0.1:8080/gemini", url)
        exec(compile(program, "native.md", "exec"), {})
    assert capsys.readouterr().out.strip()
