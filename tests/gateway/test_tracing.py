"""Spans as a collector receives them, and what a gateway does without one."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from multidict import CIMultiDictProxy
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from structlog.testing import capture_logs

from gateway import spans
from gateway.dialects import GEMINI
from gateway.exchange import Exchange, Outcome, UpstreamCall
from gateway.log import secrets_of
from gateway.service import restart_needed
from gateway.settings import ConfigError, Settings, Tracing
from gateway.tracing import Seldom, check_tracing
from tests.faults.scripted import (
    LAST,
    RESET,
    SSE,
    STALL,
    ScriptedUpstream,
    answer,
    chunk,
    data,
    event,
    refusal,
    stream,
)
from tests.running import LICENSE, SECRET, settings_for

ROOT = Path(__file__).parents[2]
ON = {"tracing": {"enabled": True}}
ROUTE = "/gemini/v1/chat/completions"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TOKEN = "collector-token-never-to-be-seen"


class Collector:
    """What exporters send to, and what it has received."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict] = []
        self.headers: list[CIMultiDictProxy] = []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        for group in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            self.resources.append(values(group.resource))
            self.spans += [span for scope in group.scope_spans for span in scope.spans]
        return web.Response()

    async def take(self, count: int) -> list[Span]:
        """Return the next *count* spans, and no more."""
        async with asyncio.timeout(10):
            while len(self.spans) < count:
                await asyncio.sleep(0.005)
        taken, self.spans = self.spans, []
        assert len(taken) == count
        return taken


def values(one) -> dict:
    """Return the attributes of a span or a resource."""

    def plain(value):
        kind = value.WhichOneof("value")
        if kind == "array_value":
            return [plain(part) for part in value.array_value.values]
        return getattr(value, kind)

    return {attribute.key: plain(attribute.value) for attribute in one.attributes}


@pytest.fixture
def quick(monkeypatch):
    """Have the SDK send what it has after 10 ms."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    yield
    library = logging.getLogger("opentelemetry")
    library.handlers, library.propagate = [], True


@pytest.fixture
async def collector(quick, monkeypatch):
    async with Collector() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        yield one


async def test_whole_and_streamed_requests(collector, running):
    async with (
        ScriptedUpstream(answer(200, LAST), stream(LAST)) as upstream,
        running(settings_for(upstream.url, **ON)) as gateway,
    ):
        settings = {"max_tokens": 9, "temperature": 0, "top_p": 0.5, "seed": 3, "stop": ["x"]}
        await gateway.whole(**settings)
        await gateway.stream(**settings)
        whole, streamed = await collector.take(2)
    attributes = values(whole)
    assert attributes.pop("gateway.request_id")
    assert attributes == {
        "http.request.method": "POST",
        "http.route": ROUTE,
        "http.response.status_code": 200,
        "gateway.license": "tester",
        "gateway.credential": "c1",
        "gateway.attempts": 1,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.response.model": "gemini-2.5-flash",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.request.stream": False,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.seed": 3,
        "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
    }
    assert (whole.name, whole.kind) == (f"POST {ROUTE}", Span.SPAN_KIND_SERVER)
    assert 0 < whole.end_time_unix_nano - whole.start_time_unix_nano < 10e9
    assert whole.status.code == Status.STATUS_CODE_UNSET
    assert not whole.parent_span_id
    attributes = values(streamed)
    assert attributes["gen_ai.request.stream"] is True
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 10
    # The stream has freed its request.
    assert "gen_ai.request.seed" not in attributes
    resource = collector.resources[0]
    assert resource["service.name"] == "gateway"
    assert "service.version" in resource


async def test_the_names_and_headers_of_the_environment(collector, running, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine,service.version=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{TOKEN}")
    async with running(settings_for("http://127.0.0.1:9", **ON)) as gateway:
        async with gateway.session.get(f"{gateway.url}/nowhere"):
            pass
        (span,) = await collector.take(1)
    assert span.name == "GET"
    assert "http.route" not in values(span)
    assert collector.resources[0]["service.name"] == "mine"
    assert collector.resources[0]["service.version"] == "7"
    assert collector.headers[0]["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        ("nonsense", False),
    ],
)
async def test_the_parent_is_the_span_of_the_client(collector, running, header, is_taken):
    async with running(settings_for("http://127.0.0.1:9", **ON)) as gateway:
        headers = {"TraceParent": header, "tracestate": "a=1,b=2"}
        async with gateway.session.get(f"{gateway.url}/v1/models", headers=headers):
            pass
        (span,) = await collector.take(1)
    if is_taken:
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert span.trace_state == "a=1,b=2"
    else:
        assert (span.parent_span_id, span.trace_state) == (b"", "")
        assert span.trace_id.hex() != TRACE


@pytest.mark.parametrize("state", ["=not a state", "a=1," * 129])
async def test_a_malformed_or_long_state_is_left_out_and_not_quoted(collector, running, state):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": state}
    structlog.reset_defaults()
    with capture_logs() as logs:
        async with (
            running(settings_for("http://127.0.0.1:9", **ON)) as gateway,
            gateway.session.get(f"{gateway.url}/v1/models", headers=headers),
        ):
            pass
    (span,) = await collector.take(1)
    assert (span.trace_id.hex(), span.trace_state) == (TRACE, "")
    assert [line["event"] for line in logs] == ["request"]


async def test_a_client_decides_about_sampling_unless_the_sampler_ignores_it(
    collector, running, monkeypatch
):
    async def ask() -> None:
        async with running(settings_for("http://127.0.0.1:9", **ON)) as gateway:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
            async with gateway.session.get(f"{gateway.url}/v1/models", headers=headers):
                pass

    await ask()
    assert collector.spans == []
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    await ask()
    await collector.take(1)


async def test_errors_before_and_in_a_stream(collector, running):
    broken = [SSE, chunk(data(event("a"))), RESET]
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT"), broken) as upstream,
        running(settings_for(upstream.url, upstream={"max_attempts": 1}, **ON)) as gateway,
    ):
        prompt = [{"role": "user", "content": "a prompt that is nobody's business"}]
        await gateway.whole(messages=prompt)
        streamed = await gateway.stream(messages=prompt)
        assert streamed.error
        refused, cut = await collector.take(2)
    assert refused.status.code == Status.STATUS_CODE_UNSET
    assert values(refused)["http.response.status_code"] == 400
    assert values(refused)["error.type"] == "invalid_request"
    assert cut.status.code == Status.STATUS_CODE_ERROR
    assert values(cut)["http.response.status_code"] == 200
    assert values(cut)["error.type"] == "upstream_stream_truncated"
    for secret in ("nobody's", SECRET, LICENSE):
        assert secret not in str((refused, cut))


async def test_a_failure_is_an_error_and_a_client_that_leaves_is_none(collector, running):
    async with (
        ScriptedUpstream([STALL]) as upstream,
        running(
            settings_for(
                upstream.url, upstream={"first_event_timeout_s": 0.2, "max_attempts": 1}, **ON
            )
        ) as gateway,
    ):
        assert (await gateway.whole())[0] == 504
        asking = gateway.loop.create_task(gateway.whole())
        while len(upstream.seen) < 2:
            await gateway.tick()
        asking.cancel()
        failed, left = await collector.take(2)
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert left.status.code == Status.STATUS_CODE_UNSET
    assert values(left)["http.response.status_code"] == 499
    assert "error.type" not in values(left)


async def test_the_native_api_and_embeddings(collector, running):
    embeddings = {"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 4}}
    async with (
        ScriptedUpstream(
            answer(200, LAST), answer(200, {"totalTokens": 2}), answer(200, embeddings)
        ) as upstream,
        running(settings_for(upstream.url, **ON)) as gateway,
    ):
        contents = [{"role": "user", "parts": [{"text": "hi"}]}]
        config = {"top_k": 40, "candidateCount": 2}
        for action, more in (
            ("generateContent", {"generationConfig": config}),
            ("countTokens", {}),
        ):
            async with gateway.session.post(
                f"{gateway.url}/v1beta/models/gemini-2.5-flash:{action}",
                json={"contents": contents, **more},
                headers={"x-goog-api-key": LICENSE},
            ) as response:
                assert response.status == 200
        async with gateway.session.post(
            f"{gateway.url}/v1/embeddings",
            json={"model": "gemini-embedding-001", "input": "hi"},
            headers={"Authorization": LICENSE},
        ) as response:
            assert response.status == 200
        native, count, embedded = await collector.take(3)
    assert native.name.startswith("POST /gemini/v1beta/models/{model}:{action}")
    attributes = values(native)
    assert attributes["gen_ai.operation.name"] == "generate_content"
    assert attributes["gen_ai.request.top_k"] == 40.0
    assert attributes["gen_ai.request.choice.count"] == 2
    assert values(count)["gen_ai.operation.name"] == "count_tokens"
    attributes = values(embedded)
    assert attributes["gen_ai.operation.name"] == "embeddings"
    assert attributes["gen_ai.request.model"] == "gemini-embedding-001"


async def test_probes_get_no_span(collector, running):
    async with running(settings_for("http://127.0.0.1:9", **ON)) as gateway:
        root = gateway.url.removesuffix("/gemini")
        for path in ("/healthz", "/readyz", "/other"):
            async with gateway.session.get(root + path):
                pass
    # The last spans are sent at the end.
    (span,) = await collector.take(1)
    assert values(span)["http.response.status_code"] == 404


def test_values_are_short_and_can_be_encoded():
    """One that cannot would cost the spans of the whole batch."""
    exchange = Exchange("\ud800", GEMINI, 0.0, outcome=Outcome(status=200, credential="c" * 999))
    exchange.requested_model = "m"
    config = {"stopSequences": ["s" * 999, 1] * 20, "temperature": "odd", "seed": 2**70}
    exchange.call = UpstreamCall("m", {"generationConfig": config}, stream=False, verbatim=True)
    attributes = spans.attributes_of(exchange)
    assert attributes["gateway.request_id"] == "?"
    assert attributes["gateway.credential"] == "c" * spans.LONGEST_TEXT
    assert attributes["gen_ai.request.stop_sequences"] == ["s" * spans.LONGEST_TEXT] * 8
    assert "gen_ai.request.temperature" not in attributes
    assert "gen_ai.request.seed" not in attributes


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_a_collector_all_else_goes_on(quick, running, monkeypatch, hangs):
    """One that refuses connections, and one that never answers."""
    monkeypatch.setattr(spans, "CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if hangs:
            silent.listen()
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        structlog.reset_defaults()
        with capture_logs() as logs:
            async with (
                ScriptedUpstream(answer(200, LAST)) as upstream,
                running(settings_for(upstream.url, **ON)) as gateway,
            ):
                for _ in range(3):
                    assert (await gateway.whole())[0] == 200
                    await asyncio.sleep(0.03)
                begun = gateway.loop.time()
            assert gateway.loop.time() - begun < 1
    assert len([line for line in logs if line["event"] == "request"]) == 3
    assert len([line for line in logs if line["event"] == "library"]) <= 2


def test_the_library_is_logged_seldom(monkeypatch):
    now = 0.0
    monkeypatch.setattr("gateway.tracing.time.monotonic", lambda: now)
    seldom = Seldom()
    one, other = (logging.makeLogRecord({"pathname": "a", "lineno": line}) for line in (1, 2))
    assert [seldom.filter(record) for record in (one, one, other)] == [True, False, True]
    now = 60.0
    assert seldom.filter(one) is True


def test_what_the_environment_holds_in_secrets_is_redacted(monkeypatch):
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{TOKEN}, x-debug=true"
    )
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "malformed-secret,authorization Basic c2VjcmV0cw=="
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:password@host/?key=query-secret")
    assert secrets_of(Settings()) == []
    secrets = set(secrets_of(Settings(tracing=Tracing(enabled=True))))
    assert {
        TOKEN,
        f"Bearer%20{TOKEN}",
        "malformed-secret",
        "c2VjcmV0cw==",
        "password",
        "query-secret",
    } <= secrets
    assert "true" not in secrets


def test_a_change_needs_a_restart():
    assert restart_needed(Settings(), Settings(tracing=Tracing(enabled=True))) == ["tracing"]


def test_without_the_extra_the_start_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "gateway.spans", None)
    check_tracing(Settings())
    with pytest.raises(ConfigError, match=r"gateway\[otel\]"):
        check_tracing(Settings(tracing=Tracing(enabled=True)))


async def test_what_the_sdk_refuses_is_said_in_one_line(quick, running, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(ConfigError, match=r"^tracing: .*max_queue_size"):
        async with running(settings_for("http://127.0.0.1:9", **ON)):
            pass


def test_nothing_is_imported_by_default():
    code = (
        "import sys; from gateway.app import build_app; from tests.running import settings_for;"
        "build_app(settings_for('http://127.0.0.1:9'));"
        "sys.exit('opentelemetry' in sys.modules or 'gateway.spans' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_process_without_a_collector_prints_no_secret(tmp_path):
    """The library quotes a malformed header."""
    config = tmp_path / "config.toml"
    config.write_text(
        "[server]\nport = 0\n[tracing]\nenabled = true\n[log]\nformat = 'json'\n"
        f"[database]\nurl = 'sqlite+aiosqlite:///{tmp_path}/gateway.db'\nspill = '{tmp_path}/spill'\n"
    )
    env = {
        **os.environ,
        "GEMINI_API_KEY": SECRET + "key",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_HEADERS": f"({TOKEN}",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", f"--config={config}"],
        cwd=ROOT,
        env=env,
        stderr=subprocess.PIPE,
    ) as process:
        lines = []
        for raw in process.stderr:
            lines.append(json.loads(raw))
            if lines[-1]["event"] == "started":
                process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert [line["event"] for line in lines] == ["library", "started", "draining", "stopped"]
    assert "[redacted]" in lines[0]["message"]
    assert TOKEN not in str(lines)
