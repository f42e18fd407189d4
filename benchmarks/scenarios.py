"""The loads put on each target, and the figures taken from them."""

import base64
import functools
import random
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.targets import MODEL

MB = 1024 * 1024
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load. *events* and *gap_ms* are what the upstream streams; 0 events: no stream.

    *image_mb* adds a picture of this many megabytes as a data URI. A *fresh* scenario starts with a
    new process, so that its memory is its own. *held* streams outlast the measurement.
    """

    name: str
    group: str
    connections: int
    events: int = 0
    gap_ms: int = 0
    image_mb: int = 0
    seconds: float = 0.7
    warm_s: float = 0.25
    ramp_s: float = 0.0
    fresh: bool = False
    held: bool = False

    @property
    def model(self) -> str:
        """The model name that tells the fake upstream what to stream."""
        return f"{MODEL}-c{self.events}-g{self.gap_ms}" if self.events else MODEL

    @property
    def action(self) -> str:
        """Gemini's method."""
        return "streamGenerateContent?alt=sse" if self.events else "generateContent"


ALL = (
    Scenario("short-1", "short", 1),
    Scenario("short-32", "short", 32),
    Scenario("short-256", "short", 256, warm_s=0.5),
    Scenario("alone-1", "stream", 1, events=20, gap_ms=10, seconds=1.0),
    Scenario("burst", "stream", 32, events=100),
    Scenario("flood", "stream", 128, events=100, gap_ms=1, warm_s=0.5),
    Scenario("body-5", "body", 1, image_mb=5, seconds=2.0, warm_s=0.5, fresh=True),
    Scenario("body-15", "body", 1, image_mb=15, seconds=2.0, warm_s=0.5, fresh=True),
    Scenario("body-5x4", "body", 4, image_mb=5, seconds=2.0, warm_s=0.5, fresh=True),
    Scenario("workers-64", "workers", 64, warm_s=0.4),
    Scenario("workers-burst", "workers", 32, events=100, warm_s=0.4),
)

LEVELS = (100, 500, 625, 750, 875, 1000, 1250, 1500, 2000, 3000)
GAP_MS = 50


def held(streams: int) -> Scenario:
    """Return the scenario of *streams* open at once, each with 20 chunks a second."""
    return Scenario(
        f"held-{streams}",
        "held",
        streams,
        events=10_000,
        gap_ms=GAP_MS,
        seconds=2.0,
        ramp_s=max(0.5, streams / 500),
        warm_s=1.0,
        fresh=True,
        held=True,
    )


@functools.cache
def picture(megabytes: int) -> str:
    """Return a valid PNG of noise whose base64 has *megabytes*."""
    noise, width = random.Random(7), 1024
    height = megabytes * MB * 3 // 4 // (width * 3 + 1)
    rows = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(height))

    def block(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (block(b"IHDR", size), block(b"IDAT", zlib.compress(rows, 0)), block(b"IEND", b""))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def body(scenario: Scenario) -> bytes:
    """Return the chat request of *scenario*: a short conversation, or a question on a picture."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a patient gardener. Keep it short."},
        {"role": "user", "content": "When do I plant tulips? " * 5},
        {"role": "assistant", "content": "In autumn, before the first hard frost."},
        {"role": "user", "content": "And how deep, in heavy soil with little sun? " * 5},
    ]
    if scenario.image_mb:
        url = f"data:image/png;base64,{picture(scenario.image_mb)}"
        question = {"type": "text", "text": "Which plant is this?"}
        content = [question, {"type": "image_url", "image_url": {"url": url}}]
        messages = [{"role": "user", "content": content}]
    payload = {"model": scenario.model, "messages": messages, "temperature": 0.5}
    return orjson.dumps(payload | {"stream": True} if scenario.events else payload)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a load: CPU seconds, and KiB before, at the peak, in the middle.

    *largest_share* is the part of the connections that one process of the server has, *valkey_s*
    what the Valkey took if this server uses one.
    """

    cpu_s: float
    largest_share: float
    valkey_s: float
    base_kib: int
    middle_kib: int
    peak_kib: int
    idle_rss_kib: int


def figures(scenario: Scenario, load: dict[str, Any], cost: Cost) -> Figures:
    """Reduce one run to named figures: CPU microseconds per unit first, then times and rates.

    *load* is the output of the load generator, with how busy it and the upstream were
    (`load_cores`).
    """
    seconds, units = load["seconds"], load["stamps"] if scenario.events else load["ok"]
    per_unit = 1e6 / max(units, 1)
    results: Figures = {
        "errors": float(sum(load["errors"].values())),
        "cpu_us": cost.cpu_s * per_unit,
        "per_s": units / seconds,
        "load_cores": load["load_cores"],
    }
    if cost.valkey_s:
        results["valkey_us"] = cost.valkey_s * per_unit
    if scenario.group == "workers":
        # Two cores do no more than the process with the most connections, nor than both together.
        # The CPU time of each process would say less: one shares its core with the load.
        results["share"] = cost.largest_share
        most_s = max(cost.cpu_s * cost.largest_share, (cost.cpu_s + cost.valkey_s) / 2)
        results["bound_us"] = most_s * per_unit
    return results | _answers(scenario, load) | _memory(scenario, cost)


def _answers(scenario: Scenario, load: dict[str, Any]) -> Figures:
    if not scenario.events:
        return {"p50_us": load["whole"]["p50"], "p99_us": load["whole"]["p99"]}
    results: Figures = {"delay_us": load["delay"]["p50"], "delay_p99_us": load["delay"]["p99"]}
    if scenario.connections == 1:
        results |= {"first_us": load["first"]["p50"], "first_p99_us": load["first"]["p99"]}
    if scenario.held:
        offered = scenario.connections * load["seconds"] * 1000 / scenario.gap_ms
        results["delivered"] = load["stamps"] / offered
    return results


def _memory(scenario: Scenario, cost: Cost) -> Figures:
    if scenario.held:
        return {"kib": (cost.middle_kib - cost.base_kib) / scenario.connections}
    if scenario.image_mb:
        size = scenario.connections * scenario.image_mb * 1024
        return {"copies": (cost.peak_kib - cost.idle_rss_kib) / size}
    return {}


def is_held(results: Figures) -> bool:
    """Tell whether all streams were served: nearly every chunk came, within 250 ms."""
    return (
        not results["errors"]
        and results["delivered"] >= 0.97
        and results["delay_p99_us"] <= 250_000.0
    )
