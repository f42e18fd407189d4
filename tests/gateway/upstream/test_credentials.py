"""The credential pool: choice, cool-downs by project and model, keys that are out."""

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
import structlog

from gateway.errors import QuotaSpent, RateLimited, UpstreamAuth
from gateway.upstream.cool_downs import PACIFIC, seconds_to_midnight
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.faults import Fault, Kind


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


NOON = datetime(2026, 7, 1, 12, tzinfo=PACIFIC)


def pool_of(*credentials: Credential) -> tuple[CredentialPool, Clock]:
    clock = Clock()
    pool = CredentialPool(
        credentials, clock=clock, wall=lambda: NOON, jitter=lambda low, _high: low
    )
    return pool, clock


def fault(kind: Kind, rest: float | None = None) -> Fault:
    return Fault(kind, RateLimited("no"), rest)


def one_and_two(**more) -> list[Credential]:
    return [Credential("one", "key-1", **more), Credential("two", "key-2", **more)]


def test_the_one_with_the_fewest_leases_serves():
    pool, _ = pool_of(*one_and_two())
    assert {pool.lease("m").name, pool.lease("m").name} == {"one", "two"}


def test_idle_ones_take_turns():
    pool, clock = pool_of(*one_and_two())
    names = []
    for _ in range(4):
        clock.now += 1
        credential = pool.lease("m")
        names.append(credential.name)
        pool.release(credential)
    assert sorted(names) == ["one", "one", "two", "two"]


def test_weights_share_the_load():
    pool, _ = pool_of(Credential("big", "a", weight=3), Credential("small", "b"))
    names = [pool.lease("m").name for _ in range(8)]
    assert names.count("big") == 6


def test_a_busy_key_rests_for_this_model_only():
    pool, clock = pool_of(Credential("one", "a"))
    pool.report(pool.lease("m"), "m", fault(Kind.BUSY, 30))
    with pytest.raises(RateLimited) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(30)
    assert pool.lease("other").name == "one"
    clock.now += 30
    assert pool.lease("m").name == "one"


def test_a_busy_key_rests_a_little_longer_than_it_is_told():
    clock = Clock()
    pool = CredentialPool(one_and_two()[:1], clock=clock, jitter=lambda _low, high: high)
    pool.report(pool.credentials[0], "m", fault(Kind.BUSY, 30))
    clock.now += 32
    with pytest.raises(RateLimited):
        pool.lease("m")
    clock.now += 2
    assert pool.lease("m") is pool.credentials[0]


def test_keys_of_one_project_share_their_fate():
    pool, _ = pool_of(*one_and_two(project="p"))
    pool.report(pool.lease("m"), "m", fault(Kind.BUSY, 30))
    with pytest.raises(RateLimited):
        pool.lease("m")


def test_the_shortest_rest_is_told_when_all_rest():
    pool, _ = pool_of(*one_and_two())
    one, two = pool.credentials
    pool.report(one, "m", fault(Kind.BUSY, 50))
    pool.report(two, "m", fault(Kind.BUSY, 20))
    with pytest.raises(RateLimited) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(20)


def test_a_spent_day_lasts_until_midnight_pacific():
    pool, _ = pool_of(Credential("one", "a"))
    pool.report(pool.credentials[0], "m", fault(Kind.SPENT))
    with pytest.raises(QuotaSpent) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(12 * 3600)


@pytest.mark.parametrize("step_h", [-48, -2, 1, 12, 48])
@pytest.mark.parametrize(("kind", "rest_s"), [(Kind.SPENT, 12 * 3600), (Kind.BUSY, 60)])
def test_a_rest_once_begun_goes_by_the_clock_that_never_steps(kind, rest_s, step_h):
    clock, wall = Clock(), [datetime(2026, 11, 23, 12, tzinfo=PACIFIC)]
    one = Credential("one", "a")
    pool = CredentialPool([one], clock=clock, wall=lambda: wall[0], jitter=lambda low, _: low)
    pool.report(one, "m", fault(kind, 60))
    wall[0] += timedelta(hours=step_h)
    clock.now += rest_s - 1
    with pytest.raises(RateLimited if kind is Kind.BUSY else QuotaSpent) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(1)
    clock.now += 1.1
    assert pool.lease("m") is one


def test_shared_capacity_rests_five_seconds_and_doubles_to_sixty():
    pool, clock = pool_of(Credential("one", "a"))
    rests = []
    for _ in range(5):
        pool.report(pool.credentials[0], "m", fault(Kind.SHARED))
        with pytest.raises(RateLimited) as caught:
            pool.lease("m")
        rests.append(caught.value.retry_after)
        clock.now += rests[-1]
    assert rests == pytest.approx([5, 10, 20, 40, 60])


def test_a_success_forgets_the_doubling():
    pool, clock = pool_of(Credential("one", "a"))
    (one,) = pool.credentials
    for _ in range(3):
        pool.report(one, "m", fault(Kind.SHARED))
        clock.now += 60
    pool.report(one, "m", None)
    pool.report(one, "m", fault(Kind.SHARED))
    with pytest.raises(RateLimited) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(5)


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [(Kind.KEY_INVALID, 3600), (Kind.REGION, 600), (Kind.KEY_DEAD, inf)],
)
def test_a_refused_key_is_out_for_every_model(kind, seconds):
    pool, clock = pool_of(Credential("one", "a"))
    pool.report(pool.credentials[0], "m", fault(kind))
    with pytest.raises(UpstreamAuth):
        pool.lease("any")
    assert pool.usable() == 0
    clock.now += min(seconds, 1e9)
    assert pool.usable() == (seconds != inf)


def test_those_that_failed_this_request_are_avoided():
    pool, _ = pool_of(*one_and_two())
    assert pool.lease("m", avoid={"one"}).name == "two"


def test_a_request_whose_files_belong_to_one_stays_on_it():
    pool, _ = pool_of(*one_and_two())
    mark = pool.credentials[1].mark
    assert [pool.lease("m", only=mark).name for _ in range(3)] == ["two"] * 3


def test_keys_of_the_owners_project_stand_in_for_it():
    mine = [Credential(name, name, project="mine") for name in ("one", "two")]
    pool, _ = pool_of(*mine, Credential("other", "other", project="other"))
    pool.report(mine[0], "m", fault(Kind.KEY_DEAD))
    assert [pool.lease("m", only="mine").name for _ in range(2)] == ["two", "two"]


def test_the_rest_that_is_told_is_that_of_the_owner():
    pool, _ = pool_of(*one_and_two())
    pool.report(pool.credentials[0], "m", fault(Kind.BUSY, 5))
    pool.report(pool.credentials[1], "m", fault(Kind.BUSY, 50))
    with pytest.raises(RateLimited) as caught:
        pool.lease("m", only=pool.credentials[1].mark)
    assert caught.value.retry_after == 50


def test_an_owner_that_is_gone_binds_to_nothing():
    pool, _ = pool_of(*one_and_two())
    assert pool.lease("m", only="gone").name in {"one", "two"}


def test_no_text_holds_a_key_and_no_state_does():
    pool, _ = pool_of(Credential("one", "AIza-secret"))
    assert pool.redact("Consumer 'api_key:AIza-secret' is out") == (
        "Consumer 'api_key:[redacted]' is out"
    )
    assert "AIza-secret" not in repr(pool.credentials) + repr(pool.states())


@pytest.mark.parametrize("key", ["AIza" + "x" * 35, "AQ." + "y" * 40])
def test_no_text_holds_a_former_key_either(key):
    pool, _ = pool_of(Credential("one", "now"))
    assert pool.redact(f"Consumer 'api_key:{key}' is out") == "Consumer 'api_key:[redacted]' is out"


def test_a_new_set_keeps_leases_and_brings_keys_back():
    pool, _ = pool_of(*one_and_two())
    one = pool.lease("m", only=pool.credentials[0].mark)
    pool.report(one, "m", fault(Kind.KEY_DEAD))
    pool.replace([Credential("uno", "key-1"), Credential("three", "key-3")])
    assert [c.name for c in pool.credentials] == ["uno", "three"]
    assert pool.credentials[0].leases == 1
    assert pool.usable() == 2


@pytest.mark.parametrize("kind", [Kind.BUSY, Kind.SPENT, Kind.SHARED, Kind.KEY_DEAD])
def test_a_new_key_under_an_old_name_inherits_nothing(kind):
    pool, _ = pool_of(Credential("main", "old"))
    old = pool.lease("m")
    pool.report(old, "m", fault(kind, 30))
    pool.replace([Credential("main", "new")])
    assert pool.lease("m").key == "new"
    # Nor what a call that still ran on the old one says.
    pool.report(old, "m", fault(kind, 30))
    assert pool.lease("m").key == "new"


def test_keys_keep_their_rests_whatever_their_names():
    pool, _ = pool_of(*one_and_two())
    pool.report(pool.credentials[0], "m", fault(Kind.BUSY, 30))
    pool.replace([Credential("two", "key-1"), Credential("one", "key-2")])
    assert pool.lease("m").key == "key-2"
    assert pool.lease("m").key == "key-2"


def test_a_new_key_of_a_project_shares_its_fate():
    pool, _ = pool_of(Credential("main", "old", project="p"))
    pool.report(pool.credentials[0], "m", fault(Kind.BUSY, 30))
    pool.replace([Credential("main", "new", project="p")])
    with pytest.raises(RateLimited):
        pool.lease("m")


@pytest.mark.parametrize("kind", [Kind.BUSY, Kind.KEY_DEAD])
def test_what_others_learned_of_another_key_of_the_same_name_is_not_heard(kind):
    error = []
    old, _ = pool_of(Credential("main", "old-key"))
    new, _ = pool_of(Credential("main", "new-key"))
    old.share(lambda *news: error.append(news))
    old.report(old.credentials[0], "m", fault(kind, 30))
    new.hear(*error[0])
    assert new.lease("m").name == "main"
    assert not new._cool_downs.until
    assert "old-key" not in str(error)


def test_a_rest_for_the_model_list_puts_no_key_out_elsewhere():
    one, _ = pool_of(*one_and_two())
    two, _ = pool_of(*one_and_two())
    one.share(two.hear)
    one.report(one.credentials[0], "", fault(Kind.BUSY, 30))
    assert two.usable() == 2


def test_what_one_process_learns_another_one_hears():
    one, _ = pool_of(*one_and_two())
    two, _ = pool_of(*one_and_two())
    one.share(two.hear)
    one.report(one.credentials[0], "m", fault(Kind.BUSY, 30))
    assert two.lease("m").name == "two"
    one.report(one.credentials[1], "m", fault(Kind.SPENT))
    one.report(one.credentials[0], "m", fault(Kind.SPENT))
    with pytest.raises(QuotaSpent):
        two.lease("m")
    one.report(one.credentials[1], "m", fault(Kind.KEY_DEAD))
    assert [state["state"] for state in two.states()] == ["ready", "out"]
    assert two.states()[1]["reason"] == "key_dead"


@pytest.mark.parametrize("kind", [Kind.KEY_INVALID, Kind.KEY_DEAD, Kind.REGION])
def test_a_key_that_one_process_puts_out_is_out_in_all(kind):
    one, _ = pool_of(*one_and_two())
    two, _ = pool_of(*one_and_two())
    one.share(two.hear)
    one.report(one.credentials[0], "m", fault(kind))
    assert [two.lease("m").name for _ in range(2)] == ["two", "two"]


@pytest.mark.parametrize("kind", [Kind.KEY_INVALID, Kind.KEY_DEAD, Kind.REGION])
def test_a_key_that_one_operator_brings_back_is_back_in_all(kind):
    one, _ = pool_of(*one_and_two())
    two, _ = pool_of(*one_and_two())
    one.share(two.hear)
    one.report(one.credentials[0], "m", fault(kind))
    one.replace(one_and_two())
    assert sorted(two.lease("m").name for _ in range(2)) == ["one", "two"]
    assert [state["reason"] for state in two.states()] == [None, None]


@pytest.mark.parametrize("kind", [Kind.KEY_DEAD, Kind.REGION])
def test_a_key_that_is_refused_to_one_machine_only_is_out_there_alone(kind):
    one, _ = pool_of(*one_and_two())
    two, _ = pool_of(*one_and_two())
    one.share(two.hear)
    one.report(one.credentials[0], "m", Fault(kind, RateLimited("no"), is_local=True))
    assert [state["state"] for state in one.states()] == ["out", "ready"]
    assert [state["state"] for state in two.states()] == ["ready", "ready"]


HOUR, NOON_TO_MIDNIGHT = 3600, 12 * 3600


@pytest.mark.parametrize(
    ("kinds", "error", "wait"),
    [
        ("SPENT SPENT SPENT KEY_INVALID KEY_INVALID", UpstreamAuth, HOUR),
        ("SPENT SPENT SPENT REGION KEY_DEAD", UpstreamAuth, 600),
        ("SPENT SPENT SPENT BUSY KEY_INVALID", RateLimited, 30),
        # A dead key never comes back: those that do wait for their quota.
        ("SPENT SPENT SPENT KEY_DEAD KEY_DEAD", QuotaSpent, NOON_TO_MIDNIGHT),
        ("KEY_INVALID KEY_DEAD", UpstreamAuth, HOUR),
        ("KEY_DEAD KEY_DEAD", UpstreamAuth, None),
    ],
)
def test_the_key_that_comes_back_first_says_what_is_lacking(kinds, error, wait):
    pool, _ = pool_of(*(Credential(name, name) for name in "abcde"[: len(kinds.split())]))
    for one, kind in zip(pool.credentials, kinds.split(), strict=True):
        assert pool.outlook("m") is None
        pool.report(one, "m", fault(Kind[kind], 30))
    with pytest.raises(error) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(wait)
    assert type(pool.outlook("m")) is error


def test_a_key_that_failed_this_request_is_not_waited_for():
    pool, _ = pool_of(*one_and_two())
    pool.report(pool.credentials[1], "m", fault(Kind.BUSY, 30))
    with pytest.raises(RateLimited) as caught:
        pool.lease("m", avoid={"one"})
    assert caught.value.retry_after == pytest.approx(30)
    assert type(pool.outlook("m", avoid={"one"})) is RateLimited


def test_a_key_that_is_out_and_spent_comes_back_with_its_quota():
    pool, _ = pool_of(Credential("one", "a"))
    for kind in (Kind.KEY_INVALID, Kind.SPENT):
        pool.report(pool.credentials[0], "m", fault(kind))
    with pytest.raises(QuotaSpent) as caught:
        pool.lease("m")
    assert caught.value.retry_after == pytest.approx(NOON_TO_MIDNIGHT)


@pytest.mark.parametrize("word", [b"", b"weary", b"busy:2", b"\xff", b"key_unknown", b"network"])
def test_words_of_another_version_change_nothing(word):
    pool, _ = pool_of(Credential("one", "a"))
    (one,) = pool.credentials
    for key in (f"{one.scope}|m", one.mark):
        pool.hear(key, word, 60.0)
    assert pool.lease("m") is one
    assert pool.states()[0]["resting"] == {}


def test_odd_model_names_cannot_fill_the_memory():
    pool, clock = pool_of(Credential("one", "a"))
    for number in range(5000):
        pool.report(pool.credentials[0], f"m{number}", fault(Kind.BUSY, 1))
        clock.now += 2
    assert len(pool._cool_downs.until) <= 1001


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 3, 7, 12, tzinfo=PACIFIC), 12),
        (datetime(2026, 3, 8, 0, 0, 0, tzinfo=PACIFIC), 23),
        (datetime(2026, 11, 1, 0, 0, 0, tzinfo=PACIFIC), 25),
        # Before, in and after the hour that is skipped, and in both hours of the same name.
        (datetime(2026, 3, 8, 1, 30, tzinfo=PACIFIC), 21.5),
        (datetime(2026, 3, 8, 10, 30, tzinfo=UTC), 20.5),
        (datetime(2026, 3, 8, 23, 0, tzinfo=PACIFIC), 1),
        (datetime(2026, 11, 1, 1, 30, tzinfo=PACIFIC), 23.5),
        (datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=PACIFIC), 22.5),
        # Midnight belongs to the new day, whatever zone the clock tells it in.
        (datetime(2026, 11, 24, 0, 0, tzinfo=PACIFIC), 24),
        (datetime(2026, 11, 24, 8, 0, tzinfo=UTC), 24),
        (datetime(2026, 11, 24, 7, 59, 59, tzinfo=UTC), 1 / 3600),
        (datetime(2026, 12, 31, 20, 0, tzinfo=PACIFIC), 4),
        (datetime(2028, 2, 28, 12, 0, tzinfo=PACIFIC), 12),
    ],
)
def test_midnight_pacific_knows_daylight_saving(now, hours):
    assert timedelta(seconds=seconds_to_midnight(now)) == timedelta(hours=hours)


def test_each_rest_and_each_return_is_told_once():
    """Requests that ran at the same time report the same fault, and then the same success."""
    pool, clock = pool_of(Credential("one", "AIza-secret"))
    (one,) = pool.credentials
    with structlog.testing.capture_logs() as lines:
        for kind in (Kind.BUSY, Kind.BUSY, Kind.KEY_INVALID, Kind.KEY_INVALID):
            pool.report(one, "m", fault(kind, 30))
        pool.report(one, "m", None)
        clock.now += 3600
        pool.report(one, "m", None)
        pool.report(one, "m", None)
    error = [(line["event"], line.get("model")) for line in lines]
    assert error == [
        ("credential_resting", "m"),
        ("credential_out", None),
        ("credential_back", "m"),
        ("credential_back", None),
    ]
    assert "AIza" not in str(lines)


def test_a_place_that_is_refused_to_two_credentials_is_an_alarm():
    pool, _ = pool_of(*one_and_two())
    with structlog.testing.capture_logs() as lines:
        for credential in pool.credentials:
            pool.report(credential, "m", fault(Kind.REGION))
    alarms = [line["credentials"] for line in lines if line["event"] == "location_refused"]
    assert alarms == [["one", "two"]]
