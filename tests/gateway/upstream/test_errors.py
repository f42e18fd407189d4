"""Each row of Google's refusals becomes the fault that the table of the pool needs."""

from errno import EMFILE, ENFILE

import aiohttp
import orjson
import pytest

from gateway.errors import Forbidden, ModelNotFound, NotFound, QuotaSpent, TooLarge
from gateway.upstream.errors import (
    empty_answer,
    fault_of_error,
    fault_of_exception,
    fault_of_status,
)
from gateway.upstream.faults import Kind
from gateway.upstream.google_error import MAX_MESSAGE

KEY = "AQ.very-secret"


def redact(text: str) -> str:
    return text.replace(KEY, "[redacted]")


def envelope(code: int, status: str, message: str = "no", *details: dict) -> dict:
    typed = [
        {"@type": f"type.googleapis.com/google.rpc.{kind}", **rest}
        for one in details
        for kind, rest in one.items()
    ]
    return {"error": {"code": code, "status": status, "message": message, "details": typed}}


def info(reason: str) -> dict:
    return {"ErrorInfo": {"reason": reason, "domain": "googleapis.com"}}


def quota(name: str) -> dict:
    return {"QuotaFailure": {"violations": [{"quotaId": name}]}}


def delay(text: str) -> dict:
    return {"RetryInfo": {"retryDelay": text}}


MINUTE = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
EXHAUSTED = (429, "RESOURCE_EXHAUSTED")
INVALID = (400, "INVALID_ARGUMENT")
DENIED = (403, "PERMISSION_DENIED")
DEAD = (
    "CONSUMER_SUSPENDED",
    "CONSUMER_INVALID",
    "SERVICE_DISABLED",
    "API_KEY_SERVICE_BLOCKED",
    "API_KEY_IP_ADDRESS_BLOCKED",
    "API_KEY_HTTP_REFERRER_BLOCKED",
    "API_KEY_ANDROID_APP_BLOCKED",
    "API_KEY_IOS_APP_BLOCKED",
)
UNKNOWN_NAME = 'Invalid JSON payload received. Unknown name "{}": Cannot find field.'
NO_CATEGORY = "Invalid value at 'safety_settings[0].category' (Category), \"{}\""
NO_RESOURCE = "Permission 'storage.objects.get' denied on resource '{}' (or it may not exist)."
NO_STORE = "Permission denied on FileSearchStore fileSearchStores/{}."
NO_FILE = "You do not have permission to access the File {} or it may not exist."

ROWS = [
    (envelope(*INVALID, "Request contains an invalid argument."), Kind.REQUEST, 400),
    (envelope(*INVALID, "API key not valid.", info("API_KEY_INVALID")), Kind.KEY_INVALID, 503),
    (envelope(*INVALID, "API key expired. Please renew it."), Kind.KEY_INVALID, 503),
    (envelope(*INVALID, "API Key not found. Pass a valid one."), Kind.KEY_INVALID, 503),
    (
        envelope(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        Kind.REGION,
        503,
    ),
    # A client's own words in Google's mouth say nothing about the key.
    *(
        (envelope(*INVALID, error_body.format(word)), Kind.REQUEST, 400)
        for error_body in (UNKNOWN_NAME, NO_CATEGORY)
        for word in ("API key expired", "User location is not supported")
    ),
    (envelope(*DENIED, UNKNOWN_NAME.format("has been suspended")), Kind.REQUEST, 403),
    (envelope(*DENIED, NO_FILE.format("restricted")), Kind.NOT_HERE, 404),
    *(
        (envelope(*DENIED, error_body.format(word)), Kind.REQUEST, 403)
        for error_body in (NO_RESOURCE, NO_STORE, "No access to gs://bucket/{}.")
        for word in ("restricted", "has been suspended")
    ),
    (envelope(401, "UNAUTHENTICATED"), Kind.KEY_INVALID, 503),
    *((envelope(*DENIED, "x", info(reason)), Kind.KEY_DEAD, 503) for reason in DEAD),
    (envelope(*DENIED, f"Consumer 'api_key:{KEY}' has been suspended."), Kind.KEY_DEAD, 503),
    (
        envelope(*DENIED, f"Permission denied: Consumer 'api_key:{KEY}' has been suspended."),
        Kind.KEY_DEAD,
        503,
    ),
    (envelope(*DENIED, "Requests to this API a.b.com method x.Y are blocked."), Kind.KEY_DEAD, 503),
    (envelope(*DENIED, "Your API key was reported as leaked."), Kind.KEY_DEAD, 503),
    (envelope(*DENIED, "The API has not been used in project 1 before"), Kind.KEY_DEAD, 503),
    (envelope(*DENIED, "You do not have access to the tuned model."), Kind.REQUEST, 403),
    (envelope(*DENIED, "CachedContent not found (or permission denied)"), Kind.NOT_HERE, 404),
    (envelope(*DENIED, NO_FILE.format("a-1")), Kind.NOT_HERE, 404),
    (
        envelope(404, "NOT_FOUND", "models/x is not found for API version v1beta"),
        Kind.MODEL_UNKNOWN,
        404,
    ),
    (envelope(404, "NOT_FOUND", "Not found: cache content metadata 1."), Kind.NOT_HERE, 404),
    (envelope(404, "NOT_FOUND", "Requested entity was not found."), Kind.REQUEST, 404),
    (envelope(413, "INVALID_ARGUMENT", "too large"), Kind.REQUEST, 413),
    (envelope(*EXHAUSTED, "slow down", MINUTE, delay("34.4s")), Kind.BUSY, 429),
    (envelope(*EXHAUSTED, "slow down. Please retry in 45.57s."), Kind.BUSY, 429),
    (envelope(*EXHAUSTED, "slow down", DAY, delay("22s")), Kind.SPENT, 429),
    (envelope(*EXHAUSTED, "slow down", delay("300s")), Kind.BUSY, 429),
    (envelope(*EXHAUSTED, "slow down", delay("301s")), Kind.SPENT, 429),
    (envelope(*EXHAUSTED, "metric: x, limit: 0, model: y", MINUTE), Kind.NOT_IN_PLAN, 429),
    (envelope(*EXHAUSTED, "metric: x, limit: 0.5 of it", MINUTE), Kind.BUSY, 429),
    (envelope(*EXHAUSTED, "Resource exhausted. Please try again later."), Kind.SHARED, 429),
    (envelope(500, "INTERNAL"), Kind.INTERNAL, 502),
    (envelope(502, "BAD_GATEWAY"), Kind.OVERLOADED, 503),
    (envelope(503, "UNAVAILABLE", "The model is overloaded."), Kind.OVERLOADED, 503),
    (envelope(504, "DEADLINE_EXCEEDED"), Kind.DEADLINE, 504),
    (envelope(418, "TEAPOT"), Kind.REQUEST, 400),
    (envelope(599, "ODD"), Kind.INTERNAL, 502),
]


@pytest.mark.parametrize(("body", "kind", "status"), ROWS)
def test_each_refusal_is_of_its_kind(body, kind, status):
    code = body["error"]["code"]
    as_object = fault_of_status(code, orjson.dumps(body), redact)
    as_list = fault_of_status(code, orjson.dumps([body]), redact)
    in_stream = fault_of_error(body["error"], redact)
    for fault in (as_object, as_list, in_stream):
        assert fault.kind is kind
        assert fault.error.status == status
        assert KEY not in fault.error.message


def test_only_refusals_of_an_address_concern_one_machine_alone():
    bodies = [body for body, _, _ in ROWS]
    local = [body["error"] for body in bodies if fault_of_error(body["error"], redact).is_local]
    [region, address] = local
    assert region["message"].startswith("User location is not supported")
    assert address["details"][0]["reason"] == "API_KEY_IP_ADDRESS_BLOCKED"


def test_a_busy_key_rests_as_long_as_it_is_told_but_a_second_at_least():
    rests = [
        fault_of_error(envelope(*EXHAUSTED, "x", MINUTE, *one)["error"], redact).retry_after_s
        for one in (
            [delay("34.4s")],
            [delay("0.479s")],
            [delay("soon")],
            [delay("nans")],
            [delay("-9s")],
            [],
        )
    ]
    assert rests == [34.4, 1.0, 5.0, 5.0, 5.0, 5.0]


def test_a_delay_may_also_come_as_a_header():
    bare = orjson.dumps(envelope(*EXHAUSTED, "slow down"))
    error_body = orjson.dumps(envelope(*EXHAUSTED, "slow down", delay("7s")))
    rests = [
        fault_of_status(429, body, redact, header).retry_after_s
        for body, header in [
            (bare, "12"),
            (error_body, "12"),
            (bare, "Fri, 31 Dec 1999 23:59:59 GMT"),
        ]
    ]
    assert rests == [12, 7, None]
    overloaded = orjson.dumps(envelope(503, "UNAVAILABLE"))
    assert fault_of_status(503, overloaded, redact, "9").error.retry_after == 9
    assert fault_of_status(503, overloaded, redact).error.retry_after == 2


@pytest.mark.parametrize(
    ("body", "header", "rest"),
    [
        (envelope(503, "UNAVAILABLE", "busy", delay("7s")), "9", 7),
        (envelope(503, "UNAVAILABLE"), "9", 9),
        ("<html>", "9", 9),
        (envelope(503, "UNAVAILABLE"), "inf", None),
        (envelope(503, "UNAVAILABLE"), None, None),
        ("<html>", None, None),
    ],
)
def test_an_overloaded_service_may_say_how_long(body, header, rest):
    assert fault_of_status(503, orjson.dumps(body), redact, header).retry_after_s == rest


def test_the_culprit_of_a_bad_request_is_passed_on():
    details = {"BadRequest": {"fieldViolations": [{"field": "generation_config.seed"}]}}
    fault = fault_of_error(envelope(*INVALID, "no", details)["error"], redact)
    assert fault.error.param == "generation_config.seed"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (
            "* GenerateContentRequest.contents[1].parts[0].data: required",
            "contents[1].parts[0].data",
        ),
        ("no", None),
        ('Invalid value at "* GenerateContentRequest.contents: mine"', None),
    ],
)
def test_the_culprit_may_stand_in_the_message_alone(message, param):
    assert fault_of_error(envelope(*INVALID, message)["error"], redact).error.param == param


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Kind.REDIRECT),
        (400, Kind.REQUEST),
        (401, Kind.KEY_INVALID),
        (404, Kind.REQUEST),
        (413, Kind.REQUEST),
        (429, Kind.SHARED),
        (500, Kind.GARBAGE),
        (502, Kind.OVERLOADED),
        (503, Kind.OVERLOADED),
        (504, Kind.DEADLINE),
    ],
)
@pytest.mark.parametrize("body", [b"<html>", b"", b"{}", b"[]", b"[1]", b'{"error": "text"}'])
def test_pages_that_are_no_google_error_go_by_their_status(status, kind, body):
    assert fault_of_status(status, body, redact).kind is kind


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 429, 500, 503, 504])
@pytest.mark.parametrize("error", [{}, {"message": ""}, {"message": None, "status": "X"}])
def test_an_error_without_words_gets_some(status, error):
    envelope = orjson.dumps({"error": {"code": status} | error})
    assert fault_of_status(status, envelope, redact).error.message
    assert fault_of_error({"code": status} | error, redact).error.message


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [(429, "37", 37), (429, None, 5), (502, "37", 37), (503, None, 2), (502, None, 2)],
)
def test_a_page_tells_when_to_come_again_as_an_error_would(status, header, wait):
    assert fault_of_status(status, b"<html>", redact, header).error.retry_after == wait


def test_details_of_any_shape_do_no_harm():
    for details in (None, 1, "x", [1, None, {}], [{"@type": 1}], [{"@type": "a.QuotaFailure"}]):
        error = {"code": 429, "message": 5, "details": details}
        assert fault_of_error(error, redact).kind is Kind.SHARED


@pytest.mark.parametrize("status", [408, 413, 499, 500, 502, 503, 504])
def test_googles_own_words_are_passed_on_and_where_there_are_none_others_are_found(status):
    error = {"code": status, "message": "Googles words"}
    assert fault_of_error(error, redact).error.message == "Googles words"
    if status != 413:
        assert fault_of_error({"code": status}, redact).error.message


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (408, Kind.DEADLINE, 504),
        (413, Kind.REQUEST, 413),
        (499, Kind.DEADLINE, 502),
        (500, Kind.INTERNAL, 502),
    ],
)
def test_googles_statuses_that_are_rare_have_their_kinds_too(status, kind, told):
    fault = fault_of_error({"code": status, "message": "x"}, redact)
    assert (fault.kind, fault.error.status) == (kind, told)


@pytest.mark.parametrize("error", [5, {"message": "x"}, {"code": "5", "message": "x"}])
def test_an_error_without_a_code_is_the_services(error):
    fault = fault_of_error(error, redact)
    assert fault.error.status == 502
    assert fault.kind in (Kind.INTERNAL, Kind.GARBAGE)


@pytest.mark.parametrize("message", ["x is not found for API version v1", "models/x: no longer"])
def test_a_model_that_is_not_found_is_the_culprit(message):
    fault = fault_of_error(envelope(404, "NOT_FOUND", message)["error"], redact)
    assert (fault.kind, fault.error.param) == (Kind.MODEL_UNKNOWN, "model")


def test_messages_are_cut():
    error = envelope(*INVALID, "x" * 10_000)["error"]
    assert len(fault_of_error(error, redact).error.message) == MAX_MESSAGE


def test_the_error_classes_are_the_narrowest():
    bodies = {type(fault_of_error(row[0]["error"], redact).error) for row in ROWS}
    assert {Forbidden, ModelNotFound, NotFound, QuotaSpent, TooLarge} <= bodies


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (aiohttp.ServerDisconnectedError(), Kind.NETWORK, 502),
        (aiohttp.ClientPayloadError(), Kind.NETWORK, 502),
        (aiohttp.ConnectionTimeoutError(), Kind.NETWORK, 504),
        (TimeoutError(), Kind.STUCK, 504),
        (ConnectionResetError(), Kind.NETWORK, 502),
        (OSError(EMFILE, "Too many open files"), Kind.CRAMPED, 503),
        (aiohttp.ClientOSError(ENFILE, "Too many open files"), Kind.CRAMPED, 503),
    ],
)
def test_what_the_network_does_is_told_by_kind(error, kind, status):
    fault = fault_of_exception(error)
    assert (fault.kind, fault.error.status) == (kind, status)


def test_an_answer_without_events_is_garbage():
    assert empty_answer().kind is Kind.GARBAGE
    assert empty_answer().error.code == "upstream_empty"
