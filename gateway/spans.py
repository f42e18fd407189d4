"""Spans of finished exchanges, by OpenTelemetry's semantic conventions for HTTP and GenAI.

The ones for GenAI are still in development, so that all names are in the tables of this module:
https://github.com/open-telemetry/semantic-conventions-genai. Imported only if traces are enabled:
OpenTelemetry's packages come with the extra `gateway[otel]`. All settings of the SDK and its
exporter are those of OpenTelemetry's own environment variables.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from aiohttp import web
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from gateway import __version__
from gateway.calls import setting
from gateway.exchange import Exchange, Usage

# How long the last spans may take to be sent at the end; a collector that hangs gets none.
CLOSE_TIMEOUT_S: Final = 2.0
LONGEST_TEXT: Final = 256
MOST_TEXTS: Final = 16
# What W3C Trace Context asks for. Older SDKs take quadratic time over blanks.
LONGEST_STATE: Final = 512
# What fits into the format's integers; one that does not would cost the whole batch.
_LARGEST: Final = 2**63 - 1
_PARENT: Final = ("traceparent", "tracestate")
_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
_OPERATIONS: Final = {
    "openai_chat": "chat",
    "openai_embeddings": "embeddings",
    "gemini": "generate_content",
}
_NATIVE_OPERATIONS: Final = {
    "countTokens": "count_tokens",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
}


def _operation(exchange: Exchange) -> str | None:
    name = exchange.dialect.name
    if name == "gemini" and hasattr(exchange, "call"):
        return _NATIVE_OPERATIONS.get(exchange.call.action, _OPERATIONS[name])
    return _OPERATIONS.get(name)


def _number(name: str, kind: type[int | float]) -> Callable[[Exchange], object]:
    """Return what reads the setting *name*; a client of the native API may send any value."""

    def read(exchange: Exchange) -> object:
        value = _plain(setting(exchange.call, name))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return kind(value)

    return read


def _choices(exchange: Exchange) -> object:
    copies = exchange.call.copies
    return copies if copies > 1 else setting(exchange.call, "candidateCount")


def _first_chunk_s(exchange: Exchange) -> float | None:
    first_event_at = exchange.outcome.first_event_at
    if first_event_at is None or not exchange.call.stream:
        return None
    return first_event_at - exchange.started


# Attributes by name; those whose value is None are left out.
OF_ALL: Final[Mapping[str, Callable[[Exchange], object]]] = {
    "http.response.status_code": lambda one: one.outcome.status,
    "error.type": lambda one: one.outcome.error and one.outcome.error.code,
    "gateway.request_id": lambda one: one.id,
    "gateway.license": lambda one: one.license.id if hasattr(one, "license") else None,
    "gateway.credential": lambda one: one.outcome.credential,
    "gateway.attempts": lambda one: one.outcome.attempts or None,
}
# Of those that name a model.
OF_MODEL: Final[Mapping[str, Callable[[Exchange], object]]] = {
    "gen_ai.operation.name": _operation,
    "gen_ai.provider.name": lambda _: "gcp.gemini",
    "gen_ai.request.model": lambda one: one.requested_model,
    "gen_ai.response.model": lambda one: one.outcome.model,
    "gen_ai.response.finish_reasons": lambda one: (
        one.outcome.finish_reason and [one.outcome.finish_reason]
    ),
}
# Of those that were translated. A stream drops the settings of its request as soon as it begins.
OF_CALL: Final[Mapping[str, Callable[[Exchange], object]]] = {
    "gen_ai.request.stream": lambda one: one.call.stream,
    "gen_ai.request.max_tokens": _number("maxOutputTokens", int),
    "gen_ai.request.temperature": _number("temperature", float),
    "gen_ai.request.top_p": _number("topP", float),
    "gen_ai.request.top_k": _number("topK", float),
    "gen_ai.request.seed": _number("seed", int),
    "gen_ai.request.choice.count": _choices,
    "gen_ai.request.stop_sequences": lambda one: setting(one.call, "stopSequences"),
    "gen_ai.response.time_to_first_chunk": _first_chunk_s,
}
OF_USAGE: Final[Mapping[str, Callable[[Usage], int]]] = {
    "gen_ai.usage.input_tokens": lambda usage: usage.prompt,
    "gen_ai.usage.output_tokens": lambda usage: usage.completion,
    "gen_ai.usage.cache_read.input_tokens": lambda usage: usage.cached,
    "gen_ai.usage.reasoning.output_tokens": lambda usage: usage.thoughts,
}


class Traces:
    """Makes one span per exchange, and sends them in batches from a thread of its own.

    Raises `ValueError` for environment variables that the SDK refuses.
    """

    def __init__(self) -> None:
        # The end is bounded by `close`; the SDK's own would wait half a minute.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("gateway", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def add(
        self,
        request: web.Request,
        exchange: Exchange,
        route: str | None,
        ended: float,
        seconds: float,
    ) -> None:
        """Add the span of *exchange*, which *ended* at this Unix time and took *seconds*.

        *route* is the pattern of the address, None for one that is not served.
        """
        method = request.method if request.method in _METHODS else "_OTHER"
        verb = "HTTP" if method == "_OTHER" else method
        end = int(ended * 1e9)
        span = self._tracer.start_span(
            f"{verb} {route}" if route else verb,
            self._parent(request),
            SpanKind.SERVER,
            start_time=end - int(seconds * 1e9),
        )
        if span.is_recording():
            span.set_attribute("http.request.method", method)
            if route:
                span.set_attribute("http.route", route)
            span.set_attributes(attributes_of(exchange))
            if has_failed(exchange):
                span.set_status(StatusCode.ERROR)
        span.end(end)

    def _parent(self, request: web.Request) -> Context:
        """Return the client's span, by W3C Trace Context; a malformed one is ignored."""
        headers = {name: request.headers.getall(name, []) for name in _PARENT}
        if sum(map(len, headers["tracestate"])) > LONGEST_STATE:
            del headers["tracestate"]
        return self._propagator.extract(headers, Context())

    async def close(self) -> None:
        """Send the spans left, as far as the collector takes them in `CLOSE_TIMEOUT_S`."""
        closed, loop = asyncio.Event(), asyncio.get_running_loop()

        def close() -> None:
            self._provider.shutdown()
            # If it took too long, the loop has ended.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(closed.set)

        # A thread that nothing waits for at the exit: one of the loop's could hold up the end.
        threading.Thread(target=close, name="traces", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await closed.wait()


def attributes_of(exchange: Exchange) -> dict[str, AttributeValue]:
    """Return what is known of *exchange*: no content, no keys, no headers, and short texts."""
    values = {name: read(exchange) for name, read in OF_ALL.items()}
    if hasattr(exchange, "requested_model"):
        values |= {name: read(exchange) for name, read in OF_MODEL.items()}
        if hasattr(exchange, "call"):
            values |= {name: read(exchange) for name, read in OF_CALL.items()}
        if exchange.outcome.usage is not None:
            values |= {name: count(exchange.outcome.usage) for name, count in OF_USAGE.items()}
    return {name: plain for name, value in values.items() if (plain := _plain(value)) is not None}


def has_failed(exchange: Exchange) -> bool:
    """Tell whether it is the gateway's or Gemini's fault; a stream reports errors with 200."""
    outcome = exchange.outcome
    return outcome.status >= 500 or (outcome.error is not None and outcome.status < 400)


def _plain(value: object) -> AttributeValue | None:
    """Return *value* as the exporter can encode it; None if it cannot."""
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, (int, float)):
        return value if abs(value) <= _LARGEST else None
    if isinstance(value, list):
        return [_short(text) for text in value[:MOST_TEXTS] if isinstance(text, str)]
    return None


def _short(text: str) -> str:
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()


def _resource() -> Resource:
    """Return what the environment says of this service, with defaults for its name and version."""
    resource = Resource({SERVICE_VERSION: __version__}).merge(Resource.create())
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: "gateway"}))
    return resource
