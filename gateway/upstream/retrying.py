"""Retries of requests that call no model: uploads, look-ups of files, the model list.

They share credentials, retry budget and circuit breakers with the calls. Their quotas and failures
are recorded under a *name* of their own, where those of calls are recorded under the model.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TypeVar

from gateway.errors import GatewayError
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.retry import POLICIES, pause
from gateway.upstream.transport import GeminiTransport

T = TypeVar("T")
# One attempt with a credential. Raises `Failed`.
Work = Callable[[Credential], Awaitable[T]]

_NONE: frozenset[str] = frozenset()


class Retrying:
    """One piece of work, retried as its faults, its deadline and the retry budget allow.

    With *project* only credentials of that are used. Those in *shunned* are used last. *deadline*
    is by the clock of the loop.
    """

    __slots__ = (
        "_attempts",
        "_avoid",
        "_credential",
        "_deadline",
        "_name",
        "_project",
        "_shunned",
        "_upstream",
    )

    def __init__(
        self,
        upstream: GeminiTransport,
        name: str,
        deadline: float,
        *,
        project: str | None = None,
        shunned: Collection[str] = (),
    ) -> None:
        self._upstream = upstream
        self._name = name
        self._deadline = deadline
        self._project = project
        self._shunned = frozenset(shunned)
        self._avoid = _NONE
        self._attempts = 0
        # Work that was begun with a credential continues with it.
        self._credential: Credential | None = None

    async def run(self, work: Work[T]) -> T:
        """Return the result of *work*. Raises the `GatewayError` of the last fault."""
        self._upstream.budget.request()
        try:
            return await self._until_done(work)
        except Failed as failed:
            # The frames in the traceback hold the exception: a reference cycle, and all the bytes.
            failed.with_traceback(None)
            raise failed.fault.error from None

    async def _until_done(self, work: Work[T]) -> T:
        """Make attempts until one succeeds; raise the last `Failed` once none may follow."""
        counts: dict[Kind, int] = {}
        last: Failed | None = None
        while True:
            try:
                return await self._attempt_once(work)
            except Failed as failed:
                # The frames in the traceback hold the exception: a reference cycle.
                failed.with_traceback(None)
                last = failed.or_what_tells_more(last)
            kind = last.fault.kind
            counts[kind] = counts.get(kind, 0) + 1
            await self._prepare_next(last, counts[kind])

    async def _attempt_once(self, work: Work[T]) -> T:
        """Make one attempt; raise `Failed`."""
        upstream = self._upstream
        if not upstream.breakers.all_closed:
            upstream.check_breakers(self._name)
        failures_before = upstream.breakers.failures_counted
        try:
            self._credential = credential = self._lease()
            self._attempts += 1
            result = await work(credential)
        except Failed as failed:
            if self._credential is not None:
                upstream.learn(self._credential, self._name, failed.fault, failures_before)
                self._avoid_if_useless(self._credential, failed.fault.kind)
            raise
        except BaseException:
            upstream.learn_nothing(self._name)
            raise
        upstream.learn(credential, self._name, None, failures_before)
        return result

    def _lease(self) -> Credential:
        """Choose a credential. It is released at once: only model calls count as load."""
        if self._credential is not None:
            return self._credential
        pool = self._upstream.pool
        credential: Credential | None = None
        with suppress(GatewayError):
            credential = pool.lease(
                self._name, avoid=self._avoid | self._shunned, only=self._project
            )
        try:
            credential = credential or pool.lease(self._name, avoid=self._avoid, only=self._project)
        except GatewayError as error:
            self._upstream.learn_nothing(self._name)
            raise Failed(Fault(Kind.BUSY, error), final=True) from None
        pool.release(credential)
        return credential

    def _avoid_if_useless(self, credential: Credential, kind: Kind) -> None:
        """Stop using *credential*, or its whole project, if *kind* says that it is of no use."""
        if not POLICIES[kind].other_key:
            return
        self._credential = None
        if kind is Kind.NOT_HERE:
            self._attempts -= 1
            self._avoid |= {one.name for one in self._upstream.pool.members(credential.scope)}
        else:
            self._avoid |= {credential.name}

    async def _prepare_next(self, failed: Failed, count: int) -> None:
        """Wait until the next attempt may begin; raise `Failed` if there is to be none."""
        fault, policy = failed.fault, POLICIES[failed.fault.kind]
        if (
            failed.final
            or self._attempts >= self._upstream.settings.max_attempts
            or count > policy.retries
        ):
            raise failed
        wait = pause(fault, max(1, self._attempts), random.uniform)
        if self._upstream.loop.time() + wait >= self._deadline:
            raise failed
        if not policy.free and not self._upstream.budget.take():
            raise failed
        if wait:
            await asyncio.sleep(wait)
