"""The metrics of `/metrics`, in a registry of their own.

No label takes values that an outsider can invent: a model's name counts once upstream has answered
for it, and as `other` beyond `MAX_MODELS` names; licenses are no label (the ledger has them).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from gateway import __version__
from gateway.exchange import Usage
from gateway.records.tallies import Histogram, Tally

MAX_MODELS = 100
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
FIRST_BYTE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 60)


def _count(states: Callable[[], Collection[Mapping[str, object]]], name: str) -> int:
    return sum(state["state"] == name for state in states())


def _nothing() -> None:
    """Do nothing: there is nothing left to count."""


class Metrics:
    """Counts what the gateway does; what happens in every request costs next to nothing.

    *catch_up* counts what has ended but is not counted yet.
    """

    def __init__(self) -> None:
        self.catch_up: Callable[[], None] = _nothing
        self.registry = registry = CollectorRegistry()
        self._models: set[str] = set()
        self._requests = Tally(
            "gateway_requests", "Requests answered.", ("route", "model", "code", "stream")
        )
        self._seconds = Histogram(
            "gateway_request_seconds",
            "From the request's head to the answer's last byte.",
            "route",
            REQUEST_BUCKETS,
        )
        self._first_byte = Histogram(
            "gateway_ttft_seconds",
            "From the request's head to upstream's first event.",
            "route",
            FIRST_BYTE_BUCKETS,
        )
        self._tokens = Tally("gateway_tokens", "Tokens used, by kind.", ("model", "type"))
        self._attempts = Tally(
            "gateway_upstream_attempts",
            "Calls made upstream, by outcome.",
            ("outcome",),
        )
        for tally in (
            self._requests,
            self._seconds,
            self._first_byte,
            self._tokens,
            self._attempts,
        ):
            registry.register(tally)
        self.rate_limited = Counter(
            "gateway_rate_limited", "Requests refused by a limit.", ("limit",), registry=registry
        )
        self.inflight = Gauge("gateway_inflight", "Requests being answered.", registry=registry)
        self.ledger_queue = Gauge(
            "gateway_ledger_queue", "Ledger rows not yet written.", registry=registry
        )
        self._add_states(registry)

    def _add_states(self, registry: CollectorRegistry) -> None:
        self._credentials = Gauge(
            "gateway_keys", "Credentials, by state.", ("state",), registry=registry
        )
        self.store_up = Gauge(
            "gateway_store_up", "1 while the state server answers.", registry=registry
        )
        self.degraded = Gauge(
            "gateway_degraded", "1 while limits are enforced by each node alone.", registry=registry
        )
        self.log_dropped = Gauge(
            "gateway_log_lines_dropped", "Log lines that could not be written.", registry=registry
        )
        build = Gauge("gateway_build_info", "1; the version.", ("version",), registry=registry)
        build.labels(__version__).set(1)

    def finished(self, route: str, model: str, code: int, seconds: float, *, stream: bool) -> None:
        """Count one answered request; *route* is the pattern, never the requested path."""
        if model not in self._models:
            model = self._label_of(model) if code < 400 else "other"
        labels = (route, model, str(code), "true" if stream else "false")
        self._requests.by_labels[labels] += 1
        self._seconds.observe(route, seconds)

    def first_event(self, route: str, seconds: float) -> None:
        """Record how long upstream took to begin."""
        self._first_byte.observe(route, seconds)

    def used(self, model: str, usage: Usage) -> None:
        """Add the tokens of one reply."""
        if model not in self._models:
            model = self._label_of(model)
        for kind, count in (
            ("input", usage.prompt),
            ("output", usage.completion),
            ("cached_input", usage.cached),
            ("reasoning", usage.thoughts),
        ):
            if count > 0:
                self._tokens.by_labels[model, kind] += count

    def attempted(self, count: int, *, failed: bool) -> None:
        """Count the calls of one request: all but the last were given up for another."""
        self._attempts.by_labels[("failed" if failed else "answered",)] += 1
        if count > 1:
            self._attempts.by_labels[("retried",)] += count - 1

    def watch_credentials(self, states: Callable[[], Collection[Mapping[str, object]]]) -> None:
        """Export how many of the credentials that *states* describes are in each `state`."""
        for name in ("ready", "out"):
            self._credentials.labels(name).set_function(partial(_count, states, name))

    async def render(self) -> bytes:
        """Return the exposition text; made in a thread, as 2,000 series take 30 ms."""
        self.catch_up()
        return await asyncio.to_thread(generate_latest, self.registry)

    def _label_of(self, model: str) -> str:
        if len(self._models) >= MAX_MODELS:
            return "other"
        self._models.add(model)
        return model
