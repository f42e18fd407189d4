"""The headers every answer carries, whatever a client has named its fields."""

import time

import orjson

from gateway.answers import json_response, note_headers
from gateway.dialects import DIALECTS
from gateway.exchange import Exchange, Notes


def exchange() -> Exchange:
    return Exchange(id="abc", dialect=DIALECTS["openai_chat"], started=time.monotonic())


def test_every_answer_says_whose_it_is_and_how_long_it_took():
    response = json_response({"a": 1}, exchange(), 418)
    assert (response.status, orjson.loads(response.body)) == (418, {"a": 1})
    assert response.headers["x-request-id"] == "abc"
    assert int(response.headers["openai-processing-ms"]) >= 0
    assert "x-gateway-version" in response.headers
    assert "x-gateway-model" not in response.headers


def test_headers_of_middlewares_go_along():
    one = exchange()
    one.headers["x-ratelimit-limit-requests"] = "60"
    assert json_response({}, one).headers["x-ratelimit-limit-requests"] == "60"


def test_the_model_is_told_when_another_one_answered():
    one = exchange()
    one.asked = "asked"
    one.outcome.model = "asked"
    assert "x-gateway-model" not in json_response({}, one).headers
    one.outcome.model = "another"
    assert json_response({}, one).headers["x-gateway-model"] == "another"


def test_what_was_changed_and_dropped_is_told():
    notes = Notes()
    notes.adjust("temperature", "dropped", "model")
    notes.drop("logit_bias")
    notes.drop("store")
    assert note_headers(notes) == {
        "x-gateway-adjusted": "temperature=dropped;reason=model",
        "x-gateway-dropped": "logit_bias, store",
    }


def test_names_from_clients_cannot_break_or_flood_the_header():
    notes = Notes()
    notes.drop("a\r\nSet-Cookie: x\x00漢")
    for number in range(1000):
        notes.drop(f"field{number}")
    told = note_headers(notes)["x-gateway-dropped"]
    assert told.startswith("a??Set-Cookie: x??, field0")
    assert len(told) == 1024
    assert told.endswith("...")
