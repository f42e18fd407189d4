"""The attempts at one call, until its first event arrives or no attempt is left.

`POLICIES` decides what a failure means; this module carries it out: another credential, a pause, a
repaired body, a replacement for a model that is gone, a fallback model. Nothing here runs after the
first event.
"""

import asyncio
import random
from collections.abc import Mapping

import aiohttp

from gateway.calls import with_model
from gateway.errors import UpstreamEmpty
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.healing import hint
from gateway.upstream.answer import Answer
from gateway.upstream.credential import Credential
from gateway.upstream.credential_choice import CredentialChoice
from gateway.upstream.deadline import Deadline
from gateway.upstream.errors import fault_of_exception
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.hedge import hedged
from gateway.upstream.mending import Mending
from gateway.upstream.retry import CAP_S, POLICIES, pause
from gateway.upstream.transport import GeminiTransport
from gateway.wire.counts import count_of
from gateway.wire.endings import worth_retrying

_NONE: frozenset[str] = frozenset()
_FALLBACK_KINDS = frozenset(
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


class NeedsFanOut(Exception):
    """The call must be split: *call* has copies, none of them sent yet."""

    def __init__(self, call: UpstreamCall) -> None:
        super().__init__()
        self.call = call


class Attempts:
    """One call, tried as often as its faults, its deadline and the retry budget allow."""

    __slots__ = (
        "_call",
        "_calls_made",
        "_choice",
        "_deadline",
        "_former_models",
        "_has_retried_weak",
        "_is_head_sent",
        "_loop",
        "_mending",
        "_notes",
        "_outcome",
        "_requested_model",
        "_upstream",
    )

    def __init__(
        self, upstream: GeminiTransport, call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> None:
        self._upstream = upstream
        self._call = call
        self._outcome = outcome
        self._notes = notes
        self._choice = CredentialChoice(upstream.pool, upstream.owners, call)
        # Nearly every call needs none.
        self._mending: Mending | None = None
        self._requested_model = call.model
        # The number of calls made, of all models and concurrent ones included. A call whose key
        # lacks what it names does not count.
        self._calls_made = 0
        # Models that the call was moved away from: none is asked twice.
        self._former_models = _NONE
        self._has_retried_weak = False
        # Already before the first attempt: files of this call were processed.
        self._is_head_sent = outcome.begun
        self._loop = upstream.loop
        self._deadline = self._loop.time() + upstream.settings.deadline_s

    async def begin(self) -> tuple[Answer, Credential]:
        """Return the first answer that began, with its credential still leased.

        Raises the `GatewayError` of the last fault when all permitted attempts have failed, and
        `NeedsFanOut` where the model refuses to give several candidates at once.
        """
        self._upstream.budget.request()
        while True:
            try:
                return await self._begin_with_model()
            except Failed as failed:
                # The frames in the traceback hold the exception: a reference cycle.
                failed.with_traceback(None)
                if not (fallbacks := self._fallbacks(failed.fault.kind)):
                    raise self._choice.verdict(failed.fault, self._call.model) from None
                self._move_to(fallbacks[0])

    def _fallbacks(self, kind: Kind) -> list[str]:
        """Return the fallbacks still possible: nothing is sent, and time and calls are left.

        Vectors of different models cannot be compared, so that none stands in for another.
        """
        if kind not in _FALLBACK_KINDS or self._call.action != "generateContent":
            return []
        if self._outcome.begun or self._loop.time() >= self._deadline:
            return []
        models = self._upstream.names.fallbacks(self._requested_model)
        return [model for model in models if self._is_untried(model)][: self._calls_left()]

    def _calls_left(self) -> int:
        """Count the calls that may still be made."""
        return max(0, self._upstream.settings.max_attempts - self._calls_made)

    async def _begin_with_model(self) -> tuple[Answer, Credential]:
        """Try the call's current model; raise `Failed` with the last fault."""
        counts: dict[Kind, int] = {}
        last: Failed | None = None
        upstream = self._upstream
        attempt = self._attempt_hedged if upstream.settings.hedge_after_s else self._attempt_once
        while True:
            try:
                begun = await attempt()
            except Failed as failed:
                if self._mending is not None:
                    self._mending.prove(failed.fault.error.message)
                last = failed = failed.or_what_tells_more(last)
                counts[failed.fault.kind] = counts.get(failed.fault.kind, 0) + 1
                if not self._mend(failed.fault):
                    await self._prepare_next(failed, counts)
            else:
                if self._mending is not None:
                    self._mending.prove()
                return begun

    async def _attempt_hedged(self) -> tuple[Answer, Credential]:
        """Make one attempt, or two concurrent ones if the first is slow."""
        upstream = self._upstream
        answer, credential = await hedged(
            self._attempt_once,
            after_s=upstream.settings.hedge_after_s,
            allowed=lambda: self._calls_left() > 0 and upstream.budget.take(),
            discard=self._discard,
        )
        # The attempt that was made last may have lost.
        self._outcome.credential = credential.name
        return answer, credential

    def _discard(self, begun: tuple[Answer, Credential]) -> None:
        """Give up an answer that came too late; it is paid for."""
        self._note_wasted(begun[0])
        self._upstream.discard(begun)

    def _mend(self, fault: Fault) -> bool:
        """Change the call so that *fault* cannot recur; tell whether that was possible."""
        if self._outcome.begun:
            # The head is sent, so that a change could no longer be reported.
            return False
        if fault.kind is Kind.REQUEST and not self._call.verbatim:
            return self._mend_refusal(fault.error.message)
        if fault.kind is Kind.MODEL_UNKNOWN:
            replacement = self._upstream.names.replace(self._call.model)
            if replacement is not None and self._is_untried(replacement):
                self._move_to(replacement)
                return True
        return False

    def _mend_refusal(self, message: str) -> bool:
        self._mending = self._mending or Mending(self._upstream.refusals, self._notes)
        mended = self._mending.mend(self._call, message)
        if mended is None:
            return False
        self._call = mended
        if mended.copies > 1:
            # The changed call is not made here.
            self._mending.prove()
            raise NeedsFanOut(mended)
        return True

    async def _prepare_next(self, failed: Failed, counts: Mapping[Kind, int]) -> None:
        """Wait until the next attempt may begin; raise `Failed` if there is to be none."""
        kind = failed.fault.kind
        policy = POLICIES[kind]
        fallbacks = self._fallbacks(kind)
        # One call is reserved for each fallback. Once an attempt has been so slow that the head was
        # sent, nothing is retried.
        is_late = self._outcome.begun and not self._is_head_sent
        is_last = failed.final or is_late or self._calls_left() <= len(fallbacks)
        if is_last or counts[kind] > policy.retries:
            raise failed
        wait = pause(failed.fault, self._calls_made, random.uniform)
        # Rather than wait long, ask another model.
        if self._loop.time() + wait >= self._deadline or (fallbacks and wait > CAP_S):
            raise failed
        if not policy.free and not self._upstream.budget.take():
            raise failed
        if wait:
            await asyncio.sleep(wait)

    async def _attempt_once(self) -> tuple[Answer, Credential]:
        """Make one attempt; raise `Failed`."""
        call, upstream = self._call, self._upstream
        if not upstream.breakers.all_closed:
            upstream.check_breakers(call.model)
        try:
            credential = self._choice.lease(call.model)
        except Failed:
            upstream.learn_nothing(call.model)
            raise
        failures_before = upstream.breakers.failures_counted
        self._calls_made += 1
        self._outcome.attempts += 1
        self._outcome.credential = credential.name
        self._outcome.model = call.model
        try:
            answer = await self._send(credential)
        except Failed as failed:
            upstream.pool.release(credential)
            upstream.learn(credential, call.model, failed.fault, failures_before)
            if failed.fault.kind is Kind.NOT_HERE:
                self._calls_made -= 1
                failed.fault = self._choice.exclude_project(credential, failed.fault, call)
            elif POLICIES[failed.fault.kind].other_key:
                self._choice.avoid(credential)
            raise
        except BaseException:
            upstream.pool.release(credential)
            upstream.learn_nothing(call.model)
            raise
        upstream.learn(credential, call.model, None, failures_before)
        self._choice.succeed(credential, call)
        return answer, credential

    async def _send(self, credential: Credential) -> Answer:
        """Post the call and wait for the first event, within the limits of one attempt."""
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
                # aiohttp's frames in the traceback hold the error: a reference cycle, and the body.
                raise Failed(fault_of_exception(error.with_traceback(None))) from None
            raise
        return answer

    def _may_be_weak(self) -> bool:
        """Tell whether an answer without content may be retried; embeddings have none."""
        call = self._call
        may_ask = not (self._has_retried_weak or call.verbatim) and self._calls_left() > 0
        return may_ask and call.action == "generateContent"

    def _note_wasted(self, answer: Answer) -> None:
        """Note the cost of *answer*, which is given up: the last usage among its events."""
        for event in reversed(answer.unread()):
            if (usage := count_of(event)) is not None:
                self._outcome.wasted += ((self._call.model, usage),)
                return

    async def _refuse_weak(self, answer: Answer, reason: str) -> None:
        """Refuse, once, an answer that is empty or malformed: a second try often helps."""
        # Text may follow an empty STOP. Once the head is sent, a weak answer is better than none.
        if await answer.is_single() and not self._outcome.begun:
            self._has_retried_weak = True
            self._call = hint(self._call, reason, self._notes)
            raise Failed(Fault(Kind.WEAK, UpstreamEmpty(f"The model ended with {reason}.")))

    def _is_untried(self, model: str) -> bool:
        return model != self._call.model and model not in self._former_models

    def _move_to(self, model: str) -> None:
        self._former_models |= {self._call.model}
        self._call = with_model(self._call, model)
        self._choice.forget_attempts()
