"""The attempts at one call, until the first event is here or nothing may be tried any more.

What a failure means is decided by `POLICIES`; this module only carries it out: another credential,
a pause, a healed body, a replacement for a model that is gone, a fallback model. Nothing here runs
once the first event has come.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp

from gateway.calls import moved
from gateway.dialects.openai_chat.finish import worth_retrying
from gateway.dialects.openai_chat.usage import count_of
from gateway.errors import (
    GatewayError,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamEmpty,
)
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.healing import heal, hint
from gateway.upstream.answer import Answer, Failed
from gateway.upstream.breaker import HOST
from gateway.upstream.credential import Credential
from gateway.upstream.deadline import Deadline
from gateway.upstream.errors import fault_of_exception
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.hedge import hedged
from gateway.upstream.retry import CAP_S, POLICIES, pause

if TYPE_CHECKING:
    from gateway.upstream.client import GeminiUpstream

# Google tells one refusal at a time; each is mended once, and this many of them at most.
MOST_MENDS = 6
_NONE: frozenset[str] = frozenset()
_ELSEWHERE = frozenset(
    {
        Kind.OVERLOADED,
        Kind.BUSY,
        Kind.SPENT,
        Kind.NOT_IN_PLAN,
        Kind.SHARED,
        Kind.MODEL_UNKNOWN,
        Kind.STUCK,
    }
)
# What says nothing of the other keys. A refused place and shared capacity are everybody's.
_OF_ONE_KEY = frozenset({Kind.BUSY, Kind.SPENT, Kind.NOT_IN_PLAN, Kind.KEY_INVALID, Kind.KEY_DEAD})


class Apart(Exception):
    """What was one call must be several: *call* has copies, none of them sent yet."""

    def __init__(self, call: UpstreamCall) -> None:
        super().__init__()
        self.call = call


class Attempts:
    """One call, tried as often as its faults, its deadline and the retry budget allow."""

    __slots__ = (
        "_asked",
        "_avoid",
        "_call",
        "_deadline",
        "_loop",
        "_made",
        "_mended",
        "_missing",
        "_notes",
        "_only",
        "_origin",
        "_outcome",
        "_tried",
        "_unproven",
        "_upstream",
        "_weak",
    )

    def __init__(
        self, upstream: "GeminiUpstream", call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> None:
        self._upstream = upstream
        self._call = call
        self._outcome = outcome
        self._notes = notes
        # Who owns what the call names, and is the only one to ask therefore.
        self._only = call.project or upstream.owners.of_call(call)
        # What was said to be missing, by one project or another.
        self._missing: tuple[str, ...] = ()
        self._origin = call.model
        # How many calls were made, with all models and side by side ones; none with a key that had
        # not what the call names, which is no try of the same.
        self._made = 0
        # Models that were moved away from: none of them is asked twice.
        self._asked = _NONE
        # Names of credentials; nearly every call needs no more than one.
        self._avoid = _NONE
        self._tried = _NONE
        self._mended = _NONE
        # What upstream said, the model that did, and the feature that was taken out for it.
        self._unproven: tuple[str, str, str] | None = None
        self._weak = False
        self._loop = upstream.loop
        self._deadline = self._loop.time() + upstream.settings.deadline_s

    async def begin(self) -> tuple[Answer, Credential]:
        """Give the first answer that began, and its credential still leased.

        Raises the `GatewayError` of the last fault when all that was allowed has been tried, and
        `Apart` where the model refuses to give several candidates at once.
        """
        self._upstream.budget.request()
        while True:
            try:
                return await self._begin_with_model()
            except Failed as failed:
                # The frames that it came through hold it, and so would hold one another.
                failed.with_traceback(None)
                if not (others := self._others(failed.fault.kind)):
                    raise self._told(failed.fault) from None
                self._move_to(others[0])

    def _told(self, fault: Fault) -> GatewayError:
        """Give what the client hears of the last *fault*: one key's trouble is not that of all."""
        is_shared = fault.kind is Kind.SHARED
        if not is_shared and fault.kind not in _OF_ONE_KEY:
            return fault.error
        pool, error = self._upstream.pool, fault.error
        outlook = pool.outlook(self._call.model, avoid=self._avoid, only=self._only)
        if outlook is None and is_shared:
            # Other keys would hear the same.
            return error
        if outlook is None:
            kind = RateLimited if error.status == RateLimited.status else Unavailable
            return kind("No credential that was tried can serve now; others may.", retry_after=1.0)
        if type(outlook) is not type(error):
            return outlook
        # Gemini's own words say more.
        error.retry_after = outlook.retry_after
        return error

    def _others(self, kind: Kind) -> list[str]:
        """Give the models that may answer instead: nothing has gone out, time and calls are left.

        Vectors of different models cannot be compared, so that none stands in for another.
        """
        if kind not in _ELSEWHERE or self._call.action != "generateContent":
            return []
        if self._outcome.begun or self._loop.time() >= self._deadline:
            return []
        models = self._upstream.names.fallbacks(self._origin)
        return [one for one in models if self._is_new(one)][: self._left()]

    def _left(self) -> int:
        """Give how many calls may still be made."""
        return max(0, self._upstream.settings.max_attempts - self._made)

    async def _begin_with_model(self) -> tuple[Answer, Credential]:
        """Try the call's present model; raise `Failed` with the last fault."""
        counts: dict[Kind, int] = {}
        last: Failed | None = None
        upstream = self._upstream
        attempt = self._hedged if upstream.settings.hedge_after_s else self._once
        while True:
            try:
                began = await attempt()
            except Failed as failed:
                self._prove(failed.fault.error.message)
                last = failed = failed.behind(last)
                counts[failed.fault.kind] = counts.get(failed.fault.kind, 0) + 1
                if not self._mend(failed.fault):
                    await self._prepare_next(failed, counts)
            else:
                if self._unproven is not None:
                    self._prove()
                return began

    async def _hedged(self) -> tuple[Answer, Credential]:
        """Make one attempt, or two side by side if the first is slow."""
        upstream = self._upstream
        began = await hedged(
            self._once,
            after_s=upstream.settings.hedge_after_s,
            allowed=lambda: self._left() > 0 and upstream.budget.take(),
            discard=upstream.discard,
        )
        # The attempt that was made last may be the one that lost.
        self._outcome.credential = began[1].name
        return began

    def _mend(self, fault: Fault) -> bool:
        """Change the call so that *fault* cannot come again; say whether that was possible."""
        if self._outcome.begun:
            # The head is out: it could not tell of the change any more.
            return False
        if fault.kind is Kind.REQUEST and not self._call.verbatim:
            return self._heal(fault.error.message)
        if fault.kind is Kind.MODEL_UNKNOWN:
            replacement = self._upstream.names.replace(self._call.model)
            if replacement is not None and self._is_new(replacement):
                self._move_to(replacement)
                return True
        return False

    def _heal(self, message: str) -> bool:
        """Take out of the call what *message* complains of; say whether there was anything."""
        if message in self._mended or len(self._mended) >= MOST_MENDS:
            # What is said again was not mended by the change that it led to.
            return False
        healed = heal(self._call, message, self._notes)
        if healed is None:
            return False
        self._mended |= {message}
        self._call = healed.call
        if healed.feature is not None:
            self._unproven = (message, self._call.model, healed.feature)
        if self._notes.is_strict:
            self._notes.refuse_if_any()
        if healed.call.copies > 1:
            # The changed call is not made here.
            self._prove()
            raise Apart(healed.call)
        return True

    def _prove(self, message: str | None = None) -> None:
        """Remember what the last change was made for, unless upstream says the same *message*."""
        if self._unproven is not None:
            told, model, feature = self._unproven
            self._unproven = None
            if told != message:
                self._upstream.refusals.learn(model, feature)

    async def _prepare_next(self, failed: Failed, counts: Mapping[Kind, int]) -> None:
        """Wait until the next attempt may begin; raise `Failed` if there is to be none."""
        kind = failed.fault.kind
        policy = POLICIES[kind]
        others = self._others(kind)
        # Each fallback is left a call. Once a byte has gone out, an early commit too, nothing is
        # tried again.
        last = failed.final or self._outcome.begun or self._left() <= len(others)
        if last or counts[kind] > policy.more:
            raise failed
        wait = pause(failed.fault, max(1, self._made), random.uniform)
        # Rather than wait long, another model is asked.
        if self._loop.time() + wait >= self._deadline or (others and wait > CAP_S):
            raise failed
        if not policy.free and not self._upstream.budget.take():
            raise failed
        if wait:
            await asyncio.sleep(wait)

    async def _once(self) -> tuple[Answer, Credential]:
        """Make one attempt; raise `Failed`."""
        call, upstream = self._call, self._upstream
        if not upstream.breakers.all_closed:
            upstream.check_breakers(call.model)
        try:
            credential, began = self._lease(), upstream.breakers.counted
        except Failed:
            for name in (call.model, HOST):
                upstream.breakers.undecided(name)
            raise
        self._tried |= {credential.name}
        self._made += 1
        self._outcome.attempts += 1
        self._outcome.credential = credential.name
        self._outcome.model = call.model
        try:
            answer = await self._send(credential)
        except Failed as failed:
            upstream.pool.release(credential)
            upstream.learn(credential, call.model, failed.fault, began)
            if failed.fault.kind is Kind.NOT_HERE:
                self._made -= 1
                self._miss(credential, failed)
            elif POLICIES[failed.fault.kind].elsewhere:
                self._avoid |= {credential.name}
            raise
        except BaseException:
            upstream.pool.release(credential)
            for name in (call.model, HOST):
                upstream.breakers.undecided(name)
            raise
        upstream.learn(credential, call.model, None, began)
        if self._missing:
            upstream.owners.learn(call, credential.scope)
        return answer, credential

    def _miss(self, credential: Credential, failed: Failed) -> None:
        """Ask no key of this project any more: it has not what the call names."""
        message = failed.fault.error.message
        if message not in self._missing:
            self._missing += (message,)
        if len(self._missing) > 1:
            # One project has this and another one that: the client cannot use both at once.
            told = " ".join(self._missing)
            error = NotFound(f"No one project has all that this request names. {told}")
            failed.fault = replace(failed.fault, error=error)
        fellows = {one.name for one in self._upstream.pool.members(credential.scope)}
        self._avoid |= fellows
        self._tried |= fellows
        if self._only is not None:
            self._upstream.owners.forget(self._call)
            self._only = self._call.project

    def _lease(self) -> Credential:
        """Take a credential: one not tried yet, else one that may be tried again."""
        pool, call = self._upstream.pool, self._call
        if self._tried:
            with suppress(GatewayError):
                return pool.lease(call.model, avoid=self._tried, only=self._only)
        try:
            return pool.lease(call.model, avoid=self._avoid, only=self._only)
        except GatewayError as error:
            raise Failed(Fault(_exhausted_kind(error), error), final=True) from None

    async def _send(self, credential: Credential) -> Answer:
        """Post the call and wait for the first event, inside the limits of one attempt."""
        settings = self._upstream.settings
        limit = self._loop.time() + settings.first_event_timeout_s
        if limit > self._deadline:
            limit = self._deadline
        answer: Answer | None = None
        try:
            with Deadline(self._loop, limit):
                answer = await self._upstream.post(self._call, credential)
                first = await answer.begin()
                if self._may_be_weak() and (reason := worth_retrying(first)):
                    await self._refuse_weak(answer, reason)
        except BaseException as error:
            if answer is not None:
                self._note_wasted(answer)
                answer.close()
            if isinstance(error, TimeoutError | aiohttp.ClientError | OSError):
                raise Failed(fault_of_exception(error)) from None
            raise
        return answer

    def _may_be_weak(self) -> bool:
        """Say whether an answer without a word is to be asked for again; vectors have none."""
        call = self._call
        may_ask = not (self._weak or call.verbatim) and self._left() > 0
        return may_ask and call.action == "generateContent"

    def _note_wasted(self, answer: Answer) -> None:
        """Note what *answer*, which is given up, has cost by its last event that tells."""
        for event in reversed(answer.unread()):
            if (usage := count_of(event)) is not None:
                self._outcome.wasted += ((self._call.model, usage),)
                return

    async def _refuse_weak(self, answer: Answer, reason: str) -> None:
        """Refuse, once, an answer that is empty or malformed: a second try often mends it."""
        # An empty STOP may come first and text after it. Once the head is out, a weak answer is
        # better than none.
        if await answer.is_single() and not self._outcome.begun:
            self._weak = True
            self._call = hint(self._call, reason, self._notes)
            raise Failed(Fault(Kind.WEAK, UpstreamEmpty(f"The model ended with {reason}.")))

    def _is_new(self, model: str) -> bool:
        return model != self._call.model and model not in self._asked

    def _move_to(self, model: str) -> None:
        self._asked |= {self._call.model}
        self._call = moved(self._call, model)
        self._avoid = self._tried = _NONE


def _exhausted_kind(error: GatewayError) -> Kind:
    return Kind.SPENT if error.type == "insufficient_quota" else Kind.BUSY
