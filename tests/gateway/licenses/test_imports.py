"""Token exports of other gateways."""

import json
from datetime import UTC, datetime

import pytest

from gateway.licenses.imports import candidates


def read(text, taken=()):
    return list(candidates(text, set(taken).__contains__))


NEW_API = {
    "id": 7,
    "user_id": 3,
    "name": "客服 bot",
    "key": "AbCd1234",
    "status": 1,
    "expired_time": 1_900_000_000,
    "remain_quota": 500_000,
    "unlimited_quota": False,
    "model_limits_enabled": True,
    "model_limits": "gemini-2.5-flash,gemini-2.5-pro",
    "allow_ips": "192.0.2.1\n198.51.100.0/24",
    "group": "vip",
}


@pytest.mark.parametrize(
    "wrapped", [lambda r: r, lambda r: {"data": r}, lambda r: {"data": {"items": r}}]
)
def test_a_token_of_new_api_keeps_what_has_a_counterpart_and_names_the_rest(wrapped):
    [found] = read(json.dumps(wrapped([NEW_API])))
    assert found.new.key == "sk-AbCd1234"
    assert found.new.license.id == "bot"
    assert found.new.license.note == "客服 bot"
    assert found.new.license.models == ("gemini-2.5-flash", "gemini-2.5-pro")
    assert found.new.license.networks == ("192.0.2.1", "198.51.100.0/24")
    assert found.new.license.expires == datetime.fromtimestamp(1_900_000_000, UTC)
    assert found.not_carried == ("remain_quota", "group")


def test_a_token_of_one_api_in_csv():
    text = "\ufeffName,Key,Status,Expired_Time,Unlimited_Quota,Remain_Quota,Models,Subnet\n"
    text += 'a,sk-xyz,2,-1,true,9,"m1,m2",10.0.0.0/8\n'
    [found] = read(text)
    assert (found.new.key, found.new.license.disabled) == ("sk-xyz", True)
    assert found.new.license.models == ("m1", "m2")
    assert found.new.license.networks == ("10.0.0.0/8",)
    assert found.new.license.expires is None
    assert found.not_carried == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": ""}, "key: is missing"),
        ({"key": "abcd********wxyz"}, "key: is masked"),
        ({"expired_time": "tomorrow"}, "expired_time: 'tomorrow'"),
        ({"allow_ips": "everywhere"}, "networks: 'everywhere'"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why_and_the_others_are(changes, reason):
    bad, good = read(json.dumps([NEW_API | changes, NEW_API]))
    assert bad.new is None
    assert bad.reason.startswith(reason)
    assert good.new is not None


def test_a_limit_on_models_that_is_off_is_none():
    [found] = read(json.dumps([NEW_API | {"model_limits_enabled": False}]))
    assert found.new.license.models == ()


def test_equal_names_get_different_ids():
    rows = [{"name": "x", "key": "k1111"}, {"name": "x", "key": "k2222"}, {"key": "k3333"}]
    assert [found.id for found in read(json.dumps(rows))] == ["x", "x-2222", "token-3333"]
    assert read(json.dumps(rows[:1]), taken=["x"])[0].id == "x-1111"


def test_names_without_a_letter_of_ours_get_ids_whatever_their_keys_end_with():
    rows = [{"name": "客服", "key": f"{word}-1111"} for word in ("one", "two", "three")]
    ids = [found.id for found in read(json.dumps(rows))]
    assert ids[0] == "token-1111"
    assert all(id_.startswith("token-1111-") for id_ in ids[1:])
    assert len(set(ids)) == 3
    # Told apart by the key alone: importing once more finds the same.
    assert [found.id for found in read(json.dumps(rows[2:]), taken=ids[:2])] == ids[2:]


def test_an_id_is_never_too_long():
    rows = [{"name": "x" * 200, "key": f"{word}-1111"} for word in ("one", "two", "three")]
    found = read(json.dumps(rows))
    assert [one.reason for one in found] == [""] * 3
    assert len({one.id for one in found}) == 3


@pytest.mark.parametrize("text", ["", "hello", "{}", '{"data": 5}', "[", "a,b\n1,2"])
def test_what_is_no_export_is_refused(text):
    with pytest.raises(ValueError):
        read(text)


def test_an_entry_that_is_no_object_is_invalid():
    assert read('["x"]')[0].reason == "not an object"
