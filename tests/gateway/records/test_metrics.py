from prometheus_client.parser import text_string_to_metric_families

from gateway.exchange import Usage
from gateway.records import metrics as metrics_module
from gateway.records.metrics import Metrics

CHAT = "/v1/chat/completions"


async def samples(metrics: Metrics) -> dict:
    text = (await metrics.render()).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_and_tokens_are_counted_by_what_they_were():
    metrics = Metrics()
    for code in (200, 200, 429):
        metrics.finished(CHAT, "gemini-2.5-flash", code, 0.2, stream=True)
    metrics.used("gemini-2.5-flash", Usage(prompt=10, completion=5, cached=3))
    metrics.first_event(CHAT, 0.3)
    found = await samples(metrics)
    labels = [("model", "gemini-2.5-flash"), ("route", CHAT), ("stream", "true")]
    assert found["gateway_requests_total", ("code", "200"), *labels] == 2
    assert found["gateway_requests_total", ("code", "429"), *labels] == 1
    model = ("model", "gemini-2.5-flash")
    assert found["gateway_tokens_total", model, ("type", "input")] == 10
    assert found["gateway_tokens_total", model, ("type", "cached_input")] == 3
    assert ("gateway_tokens_total", model, ("type", "reasoning")) not in found
    assert found["gateway_ttft_seconds_count", ("route", CHAT)] == 1
    assert found["gateway_request_seconds_sum", ("route", CHAT)] > 0.59


async def test_names_that_outsiders_invent_make_no_series(monkeypatch):
    monkeypatch.setattr(metrics_module, "MAX_MODELS", 2)
    metrics = Metrics()
    for number in range(100):
        metrics.finished(CHAT, f"invented-{number}", 404, 0.1, stream=False)
    for name in ("a", "b", "c", "d"):
        metrics.finished(CHAT, name, 200, 0.1, stream=False)
    models = {dict(key[1:]).get("model") for key in await samples(metrics)} - {None}
    assert models == {"a", "b", "other"}


async def test_attempts_and_keys_are_shown_as_they_are():
    metrics, states = Metrics(), [{"state": "ready"}, {"state": "out"}, {"state": "out"}]
    metrics.watch_credentials(lambda: states)
    metrics.attempted(1, failed=False)
    metrics.attempted(3, failed=True)
    found = await samples(metrics)
    assert found["gateway_upstream_attempts_total", ("outcome", "answered")] == 1
    assert found["gateway_upstream_attempts_total", ("outcome", "failed")] == 1
    assert found["gateway_upstream_attempts_total", ("outcome", "retried")] == 2
    assert found["gateway_keys", ("state", "out")] == 2
    states.clear()
    assert (await samples(metrics))["gateway_keys", ("state", "out")] == 0
