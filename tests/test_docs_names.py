"""Names that clients and operators meet: the pages have all of the code's, and no others."""

import ast
import configparser
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from time import monotonic

from prometheus_client import generate_latest

from gateway import spans
from gateway.app import build_app
from gateway.commands.license import license_
from gateway.limit_report import _HEADERS
from gateway.media.known_formats import ALLOWED
from gateway.media.parts import _FIELDS
from gateway.records.metrics import Metrics
from gateway.settings import Settings
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from middlewares.cors import EXPOSED
from tests.running import settings_for

ROOT = Path(__file__).parents[1]
LOGS = {"debug", "info", "warning", "error", "exception", "log", "_log"}
EVENT = re.compile(r"[a-z]+(?:_[a-z]+)*")
HEADER = re.compile(
    r"x-request-id|x-gateway-.+|x-should-retry|retry-after.*|openai-.+|Sunset|trace(?:parent|state)"
)
OF_REQUESTS = {"x-gateway-strict", "traceparent", "tracestate"}


def section_of(page: str, heading: str) -> str:
    """Return what stands below *heading* of *page*, up to the next one."""
    _, _, text = (ROOT / "docs" / page).read_text().partition(f"\n## {heading}\n")
    assert text
    return text.partition("\n## ")[0]


def named(page: str, heading: str) -> set[str]:
    """Return the words in code in the first column of the table below *heading*."""
    cells = re.findall(r"^\| (`[^|]+) \|", section_of(page, heading), re.MULTILINE)
    return {
        code.partition(":")[0].lower() for cell in cells for code in re.findall(r"`([^`]+)`", cell)
    }


def trees() -> Iterator[ast.AST]:
    for path in [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "middlewares").glob("*.py")]:
        if not {"simulator", "dialects"} & set(path.parts):
            yield from ast.walk(ast.parse(path.read_text()))


def logged() -> Iterator[str]:
    """Yield the event of each call that logs one."""
    for node in trees():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in LOGS:
            for argument in node.args[:2]:
                for part in ast.walk(argument):
                    value = getattr(part, "value", None)
                    if isinstance(value, str) and EVENT.fullmatch(value) and "_" in value:
                        yield value


def test_every_event_of_the_log_is_documented_and_no_other():
    made = set(logged())
    assert {"worker_started", "credential_out", "state_server_down"} <= made
    # Of one word, or logged in another way.
    others = {"started", "draining", "stopped", "reloaded", "rejected", "library"}
    assert named("monitoring.md", "The log") == made | others | {"log_lines_dropped"}


def test_every_metric_is_documented_and_no_other():
    made = re.findall(r"^# TYPE (\w+)", generate_latest(Metrics().registry).decode(), re.MULTILINE)
    assert named("monitoring.md", "Metrics") == set(made)


def test_every_attribute_of_spans_is_documented_and_no_other():
    made = {*spans.OF_ALL, *spans.OF_MODEL, *spans.OF_CALL, *spans.OF_USAGE}
    assert named("monitoring.md", "Traces") == made | {"http.request.method", "http.route"}


def test_every_reason_and_field_of_readiness_is_documented_and_no_other():
    """The reasons are the texts that checks return."""
    made = {"draining"}
    for node in trees():
        if getattr(node, "name", "") in {"check", "_run_check"}:
            made |= {
                part.value
                for statement in ast.walk(node)
                if isinstance(statement, ast.Return) and statement.value
                for part in ast.walk(statement.value)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            }
    assert len(made) > 4
    [credential] = CredentialPool([Credential("one", "key")], clock=monotonic).states()
    assert named("monitoring.md", "Health") == made | set(credential)


def test_every_header_of_the_gateway_is_documented_and_no_other():
    made = {
        node.value.lower()
        for node in trees()
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and HEADER.fullmatch(node.value)
    }
    made |= {name.lower() for names in _HEADERS.values() for name in names}
    names = named("api.md", "Request headers") | named("api.md", "Response headers")
    text = section_of("api.md", "Response headers").lower()
    # What SDKs obey must be readable in a browser, too.
    assert set(EXPOSED.lower().split(", ")) == made - OF_REQUESTS
    # Those of tokens stand in the row of those of requests.
    assert names <= made
    assert [name for name in made if name not in names and f"`{name}`" not in text] == []


def test_every_route_is_documented():
    app = build_app(settings_for("http://127.0.0.1:9"))
    paths = {resource.canonical.removeprefix("/gemini") for resource in app.router.resources()}
    own = {path for path in paths if path.startswith("/v1/") and "{action}" not in path}
    text = (ROOT / "docs" / "api.md").read_text()
    assert {path.split()[-1] for path in re.findall(r"`(?:GET|POST) (\S+)`", text)} == own


def test_every_command_on_licenses_is_shown():
    text = section_of("limits.md", "Managing licenses")
    assert set(re.findall(r"gateway license (\w+)", text)) == set(license_.commands)


def test_every_middleware_of_the_default_chain_and_its_options_are_documented():
    uses = [table["use"] for table in Settings().middlewares]
    text = section_of("middlewares.md", "The default chain")
    assert re.findall(r"^\| `(\S+:\S+)` \|", text, re.MULTILINE) == uses
    config = (ROOT / "config.toml").read_text()
    for use in uses:
        module, _, name = use.partition(":")
        options = getattr(getattr(import_module(module), name), "Options", None)
        for option in inspect.signature(options).parameters if options else ():
            assert f"`{option}`" in text
            assert re.search(rf'^use = "{use}"\n#{option} = ', config, re.MULTILINE)


def test_every_kind_of_media_is_documented():
    page = (ROOT / "docs" / "media.md").read_text()
    assert [kind for kind in _FIELDS if not re.search(rf'[`"]{kind}[`"]', page)] == []
    rows = dict(re.findall(r"^\| (images|sound|video|documents) \| (.+) \|$", page, re.MULTILINE))
    kinds = {"image": "images", "audio": "sound", "text": "documents", "document": "documents"}
    for kind, names in ALLOWED.items():
        row = rows[kinds.get(kind, kind)]
        assert [name for name in names if not re.search(rf"\b{name}\b", row)] == []


def test_every_extra_is_documented():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"]) - {"testing", "test"}
    assert named("deployment.md", "Extras") == {f"gateway[{extra}]" for extra in extras}
