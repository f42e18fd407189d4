"""Which credential makes the next attempt, and what is told when none may."""

import pytest

from gateway.errors import (
    GatewayError,
    NotFound,
    QuotaSpent,
    RateLimited,
    Unavailable,
    UpstreamAuth,
)
from gateway.exchange import UpstreamCall
from gateway.upstream.credential import Credential
from gateway.upstream.credential_choice import CredentialChoice
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.owners import Owners

MODEL = "gemini-2.5-flash"


def clock() -> float:
    return 100.0


def call(name: str = "cachedContents/mine") -> UpstreamCall:
    return UpstreamCall(MODEL, {"contents": [], "cachedContent": name}, False)


def chosen(*credentials: Credential) -> tuple[CredentialChoice, CredentialPool, Owners]:
    pool = CredentialPool(credentials, clock=clock, jitter=lambda low, _: low)
    owners = Owners(clock)
    return CredentialChoice(pool, owners, call()), pool, owners


def both() -> tuple[Credential, Credential]:
    return Credential("one", "key-1"), Credential("two", "key-2")


def fault(kind: Kind, error: GatewayError | None = None) -> Fault:
    return Fault(kind, error or RateLimited("Too much."))


def test_each_attempt_takes_another_one_while_there_is_one():
    choice, _, _ = chosen(*both())
    names = [choice.lease(MODEL).name for _ in range(2)]
    assert sorted(names) == ["one", "two"]
    # All were tried, none is to be avoided: one of them may try again.
    assert choice.lease(MODEL).name in names


def test_one_that_is_avoided_serves_no_more_until_the_model_changes():
    choice, _, _ = chosen(one := Credential("one", "key-1"))
    choice.avoid(choice.lease(MODEL))
    with pytest.raises(Failed) as failed:
        choice.lease(MODEL)
    assert failed.value.final
    choice.forget_attempts()
    assert choice.lease("another") is one


@pytest.mark.parametrize(("kind", "error"), [(Kind.SPENT, QuotaSpent), (Kind.BUSY, RateLimited)])
def test_a_pool_that_has_none_says_why(kind, error):
    one, _ = both()
    choice, pool, _ = chosen(one)
    pool.report(one, MODEL, fault(kind))
    with pytest.raises(Failed) as failed:
        choice.lease(MODEL)
    assert (failed.value.fault.kind, type(failed.value.fault.error)) == (kind, error)


def test_a_project_that_lacks_what_is_named_is_left_as_a_whole():
    here = [Credential(name, f"key-{name}", project="here") for name in ("a", "b")]
    there = Credential("c", "key-c", project="there")
    choice, _, owners = chosen(*here, there)
    choice.exclude_project(here[0], fault(Kind.NOT_HERE, NotFound("mine is not here")), call())
    assert choice.lease(MODEL) is there
    choice.succeed(there, call())
    assert owners.of("cachedContents/mine") == "there"


def test_nothing_is_learned_of_owners_where_the_first_one_has_it():
    choice, _, owners = chosen(*both())
    choice.succeed(choice.lease(MODEL), call())
    assert owners.of("cachedContents/mine") is None


def test_what_several_projects_lack_is_told_together():
    one, two = both()
    choice, _, _ = chosen(one, two)
    first = choice.exclude_project(one, fault(Kind.NOT_HERE, NotFound("No a.")), call())
    assert first.error.message == "No a."
    second = choice.exclude_project(two, fault(Kind.NOT_HERE, NotFound("No b.")), call())
    assert "No a. No b." in second.error.message


def test_an_owner_that_has_it_no_more_is_forgotten():
    one, two = both()
    pool = CredentialPool((one, two), clock=clock)
    owners = Owners(clock)
    owners.note("cachedContents/mine", one.scope)
    choice = CredentialChoice(pool, owners, call())
    assert choice.lease(MODEL) is one
    choice.exclude_project(one, fault(Kind.NOT_HERE, NotFound("Gone.")), call())
    assert owners.of("cachedContents/mine") is None
    assert choice.lease(MODEL) is two


def test_what_concerns_everybody_is_told_as_it_is():
    choice, _, _ = chosen(*both())
    error = Unavailable("Nobody serves.")
    assert choice.verdict(fault(Kind.OVERLOADED, error), MODEL) is error


def test_trouble_of_one_key_is_not_told_while_others_may_serve():
    one, two = both()
    choice, pool, _ = chosen(one, two)
    pool.report(one, MODEL, fault(Kind.BUSY))
    client_error = choice.verdict(
        fault(Kind.BUSY, RateLimited("Key one.", retry_after=50.0)), MODEL
    )
    assert (type(client_error), client_error.retry_after) == (RateLimited, 1.0)
    assert "Key one" not in client_error.message


def test_a_key_that_failed_is_none_that_may_serve():
    one, two = both()
    choice, pool, _ = chosen(one, two)
    pool.report(two, MODEL, Fault(Kind.BUSY, RateLimited("no"), 7.0))
    choice.avoid(one)
    client_error = choice.verdict(fault(Kind.KEY_INVALID, UpstreamAuth("Refused.")), MODEL)
    assert (type(client_error), client_error.retry_after) == (RateLimited, 7.0)


def test_where_all_rest_the_first_to_come_back_says_how_long():
    one, two = both()
    choice, pool, _ = chosen(one, two)
    pool.report(one, MODEL, Fault(Kind.BUSY, RateLimited("no"), 40.0))
    pool.report(two, MODEL, Fault(Kind.BUSY, RateLimited("no"), 7.0))
    error = RateLimited("Google's words.", retry_after=40.0)
    assert choice.verdict(fault(Kind.BUSY, error), MODEL) is error
    assert error.retry_after == 7.0
