"""The pool of upstream keys: which one serves next, cools down, or is disabled ("out").

A cool-down belongs to (project, model), because Google's quotas do. A key without a project is
identified by a digest: another key under the same name starts afresh. A key that Google refuses is
out for a while and then retried by an ordinary request, which falls back to another key if that
fails. Choice: the usable key with the fewest leases by weight.
"""

import random
import re
from collections.abc import Callable, Collection
from datetime import datetime
from math import inf
from typing import Any, ClassVar

import structlog

from gateway.errors import GatewayError, QuotaSpent, RateLimited, UpstreamAuth
from gateway.upstream.cool_downs import (
    MAX_COOL_DOWNS,
    PACIFIC,
    CoolDowns,
    Place,
    seconds_to_midnight,
)
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Fault, Kind

RECHECK_S = 3600.0
REGION_COOL_DOWN_S = 600.0
LONGEST_SHARED_S = 86_400.0

# Both formats that Google issues: 39 characters, and auth keys.
_KEY_LIKE = re.compile(r"AIza[0-9A-Za-z_-]{35}|\bAQ\.[0-9A-Za-z_-]{20,}")

log = structlog.get_logger()


class CredentialPool:
    """All credentials of one upstream.

    *clock* returns monotonic seconds, *wall* the time of day, *jitter* a number within its bounds.
    """

    def __init__(
        self,
        credentials: Collection[Credential],
        *,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(PACIFIC),
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.credentials = list(credentials)
        self._clock = clock
        self._wall = wall
        self._jitter = jitter
        self._cool_downs = CoolDowns(clock)
        # What was logged and is not over yet: places that cool down, and (name, "") for keys that
        # are out.
        self._logged: set[tuple[str, str]] = set()
        self._publish: Callable[[str, bytes, float], None] | None = None

    def lease(
        self, model: str, *, avoid: Collection[str] = (), only: str | None = None
    ) -> Credential:
        """Lease the best credential for *model*; return it with `release`.

        *avoid* names those that already failed, *only* the project (a `scope`) that owns what the
        request names. When none is left, the first one to come back determines the error and its
        wait: `RateLimited` or `QuotaSpent` where it cools down, `UpstreamAuth` where it is out.
        """
        now = self._clock()
        best: Credential | None = None
        best_load = inf
        members = self.members(only)
        for credential in members:
            if credential.name in avoid or not self._usable(credential, model, now):
                continue
            load = credential.leases / credential.weight
            if load < best_load or (
                load == best_load and best and credential.last_used < best.last_used
            ):
                best, best_load = credential, load
        if best is None:
            raise self._exhausted(members, model, now)
        best.leases += 1
        best.last_used = now
        return best

    def outlook(
        self, model: str, *, avoid: Collection[str] = (), only: str | None = None
    ) -> GatewayError | None:
        """Return the error that `lease` would raise now, None if it would succeed."""
        now = self._clock()
        members = self.members(only)
        if any(one.name not in avoid and self._usable(one, model, now) for one in members):
            return None
        return self._exhausted(members, model, now)

    def members(self, project: str | None) -> list[Credential]:
        """Return the credentials of *project*, a `scope`; all of them if it is None or gone.

        Files and cached content belong to a project, whichever of its keys created them.
        """
        if project is None:
            return self.credentials
        return [one for one in self.credentials if one.scope == project] or self.credentials

    def release(self, credential: Credential) -> None:
        """Return *credential* to the pool."""
        credential.leases -= 1

    def report(self, credential: Credential, model: str, fault: Fault | None) -> None:
        """Learn from an attempt on *model*; *fault* None is a success."""
        place = (credential.scope, model)
        if fault is None:
            self._cool_downs.succeed(place)
            if self._logged:
                self._log_return(credential, place)
        elif effect := self._EFFECTS.get(fault.kind):
            effect(self, credential, place, fault)

    def share(self, publish: Callable[[str, bytes, float], None]) -> None:
        """From now on tell the other processes by *publish* what is learned."""
        self._publish = publish

    def hear(self, key: str, value: bytes, left_s: float) -> None:
        """Apply what another process learned: a cool-down, a credential that is out or back.

        What was learned about a key that is not in use does not apply to those that are.
        """
        owner, is_cool_down, model = key.partition("|")
        if value not in (_COOL_DOWN_REASONS if is_cool_down else _OUT_REASONS):
            # Another version of the gateway may know more reasons.
            return
        if is_cool_down:
            if any(credential.scope == owner for credential in self.credentials):
                self._cool_downs.set((owner, model), left_s, spent=value == b"spent")
            return
        for credential in self.credentials:
            if credential.mark == owner:
                is_back = value == _BACK
                credential.out_until = 0.0 if is_back else self._clock() + left_s
                credential.out_reason = None if is_back else value.decode()

    def serves(self, credential: Credential, model: str) -> bool:
        """Tell whether *credential* is neither out nor cooling down for *model* now."""
        return self._usable(credential, model, self._clock())

    def usable(self) -> int:
        """Count the credentials that are not out."""
        now = self._clock()
        return sum(credential.out_until <= now for credential in self.credentials)

    def states(self) -> list[dict[str, object]]:
        """Describe each credential for logs and `/readyz`; never its key."""
        now = self._clock()
        return [
            {
                "name": credential.name,
                "state": "out" if credential.out_until > now else "ready",
                "reason": credential.out_reason if credential.out_until > now else None,
                "leases": credential.leases,
                "resting": self._cool_downs.left(credential.scope),
            }
            for credential in self.credentials
        ]

    def redact(self, text: str) -> str:
        """Return *text* with the keys redacted, and whatever looks like one (a former key, say)."""
        for credential in self.credentials:
            if credential.key in text:
                text = text.replace(credential.key, "[redacted]")
        return _KEY_LIKE.sub("[redacted]", text)

    def replace(self, credentials: Collection[Credential]) -> None:
        """Replace the set; keys that stay keep their state, but none is out, in any process."""
        by_key = {credential.key: credential for credential in self.credentials}
        fresh = []
        for new in credentials:
            if (old := by_key.get(new.key)) is not None:
                old.name, old.weight, old.project = new.name, new.weight, new.project
                self._bring_back(old)
            fresh.append(old if old is not None else new)
        self.credentials = fresh
        self._logged = {key for key in self._logged if key[1]}

    def _bring_back(self, credential: Credential) -> None:
        if self._publish is not None and credential.out_until > self._clock():
            self._publish(credential.mark, _BACK, LONGEST_SHARED_S)
        credential.out_until, credential.out_reason = 0.0, None

    def _usable(self, credential: Credential, model: str, now: float) -> bool:
        if credential.out_until > now:
            return False
        until = self._cool_downs.until
        return not until or until.get((credential.scope, model), 0.0) <= now

    def _exhausted(self, members: list[Credential], model: str, now: float) -> GatewayError:
        """Return why none of *members* is left: what the first to come back waits for."""
        waits = [(self._wait(one, model, now), one) for one in members]
        # Those that wait for nothing were asked, and refused this very request.
        waiting = [(wait, one) for wait, one in waits if wait > 0]
        if not waiting:
            return UpstreamAuth("No upstream credential is usable now.")
        wait, first = min(waiting, key=lambda pair: pair[0])
        if first.out_until - now >= wait:
            state = "are refused" if self._all_out(members, now) else "are refused or cooling down"
            return UpstreamAuth(
                f"All upstream credentials {state} now.",
                retry_after=wait if wait < inf else None,
            )
        if (first.scope, model) in self._cool_downs.spent:
            return QuotaSpent(f"The quota of {model} is used up for now.", retry_after=wait)
        return RateLimited(f"All upstream capacity for {model} is in use.", retry_after=wait)

    def _wait(self, credential: Credential, model: str, now: float) -> float:
        """Return the seconds until *credential* may serve *model*; at most 0 if it may now."""
        until = self._cool_downs.until.get((credential.scope, model), 0.0)
        return max(until, credential.out_until) - now

    @staticmethod
    def _all_out(members: list[Credential], now: float) -> bool:
        return all(one.out_until > now for one in members)

    def _cool_down(self, credential: Credential, place: Place, seconds: float) -> None:
        self._cool_downs.begin(place, seconds)
        reason = "spent" if place in self._cool_downs.spent else "busy"
        self._log(
            place,
            "credential_resting",
            credential,
            reason=reason,
            model=place[1],
            seconds=round(seconds, 1),
        )
        if len(self._logged) > MAX_COOL_DOWNS:
            until = self._cool_downs.until
            self._logged = {key for key in self._logged if not key[1] or key in until}
        if self._publish is not None:
            self._publish("|".join(place), reason.encode(), seconds)

    def _log(self, key: tuple[str, str], event: str, credential: Credential, **more: Any) -> None:
        """Log *event* once: concurrent requests report the same."""
        if key not in self._logged:
            self._logged.add(key)
            log.warning(event, credential=credential.name, **more)

    def _log_return(self, credential: Credential, place: Place) -> None:
        """Log that *credential* serves again; the success of an older request does not count."""
        now = self._clock()
        if place in self._logged and self._cool_downs.until.get(place, 0.0) <= now:
            self._logged.discard(place)
            log.info("credential_back", credential=credential.name, model=place[1])
        if (credential.name, "") in self._logged and credential.out_until <= now:
            self._logged.discard((credential.name, ""))
            log.info("credential_back", credential=credential.name)

    def _busy(self, credential: Credential, place: Place, fault: Fault) -> None:
        seconds = fault.retry_after_s or 1.0
        self._cool_downs.spent.discard(place)
        self._cool_down(credential, place, seconds * self._jitter(1.0, 1.1))

    def _day_spent(self, credential: Credential, place: Place, _fault: Fault) -> None:
        self._cool_downs.spent.add(place)
        self._cool_down(credential, place, seconds_to_midnight(self._wall()))

    def _not_in_plan(self, credential: Credential, place: Place, _fault: Fault) -> None:
        self._cool_downs.spent.add(place)
        self._cool_down(credential, place, RECHECK_S)

    def _shared_busy(self, credential: Credential, place: Place, _fault: Fault) -> None:
        self._cool_down(credential, place, self._cool_downs.shared_s(place))

    def _invalid(self, credential: Credential, _place: Place, fault: Fault) -> None:
        self._put_out(credential, RECHECK_S, fault)

    def _dead(self, credential: Credential, _place: Place, fault: Fault) -> None:
        # For good: only an operator (by a reload) brings a suspended or leaked key back.
        self._put_out(credential, inf, fault)

    def _region(self, credential: Credential, _place: Place, fault: Fault) -> None:
        others = [
            one.name
            for one in self.credentials
            if one is not credential and one.out_reason == Kind.REGION.name.lower()
        ]
        if others:
            # A single key may lack billing; two of them point to the machine's own address.
            log.error("location_refused", credentials=[*others, credential.name])
        self._put_out(credential, REGION_COOL_DOWN_S, fault)

    def _put_out(self, credential: Credential, seconds: float, fault: Fault) -> None:
        credential.out_until = self._clock() + seconds
        credential.out_reason = reason = fault.kind.name.lower()
        recheck_s = None if seconds == inf else seconds
        self._log(
            (credential.name, ""), "credential_out", credential, reason=reason, seconds=recheck_s
        )
        if self._publish is not None and not fault.is_local:
            self._publish(credential.mark, reason.encode(), min(seconds, LONGEST_SHARED_S))

    _EFFECTS: ClassVar[dict[Kind, Callable[["CredentialPool", Credential, Place, Fault], None]]] = {
        Kind.BUSY: _busy,
        Kind.SPENT: _day_spent,
        Kind.NOT_IN_PLAN: _not_in_plan,
        Kind.SHARED: _shared_busy,
        Kind.KEY_INVALID: _invalid,
        Kind.KEY_DEAD: _dead,
        Kind.REGION: _region,
    }


# The reasons of cool-downs and of keys that are out, as processes exchange them.
_COOL_DOWN_REASONS = frozenset({b"busy", b"spent"})
_BACK = b"back"
_OUT_REASONS = frozenset(
    (_BACK, *(one.name.lower().encode() for one in (Kind.KEY_INVALID, Kind.KEY_DEAD, Kind.REGION)))
)
