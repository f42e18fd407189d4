"""Requests that ask no model: large files, and who owns what.

They share credentials, verdicts, retry budget and circuits with the calls. Quotas and failures of
theirs are kept under a *name* of their own, where those of the calls have the model.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import GatewayError
from gateway.upstream.answer import Failed
from gateway.upstream.breaker import HOST
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.retry import POLICIES, pause

if TYPE_CHECKING:
    from gateway.upstream.client import GeminiUpstream

T = TypeVar("T")
# One attempt with a credential. Raises `Failed`.
Work = Callable[[Credential], Awaitable[T]]

_NONE: frozenset[str] = frozenset()


class Errand:
    """One piece of work, tried as often as its faults, its deadline and the retry budget allow.

    *project* is the only one to ask, if it is given. Credentials in *shunned* are taken where there
    is no other. *deadline* is by the clock of the loop.
    """

    __slots__ = ("_avoid", "_deadline", "_held", "_made", "_name", "_project", "_shunned", "_up")

    def __init__(
        self,
        upstream: "GeminiUpstream",
        name: str,
        deadline: float,
        *,
        project: str | None = None,
        shunned: Collection[str] = (),
    ) -> None:
        self._up = upstream
        self._name = name
        self._deadline = deadline
        self._project = project
        self._shunned = frozenset(shunned)
        self._avoid = _NONE
        self._made = 0
        # What has been begun with a credential goes on with it.
        self._held: Credential | None = None

    async def run(self, work: Work[T]) -> T:
        """Give what *work* gives. Raises `Failed` with the last fault."""
        self._up.budget.request()
        counts: dict[Kind, int] = {}
        last: Failed | None = None
        while True:
            try:
                return await self._once(work)
            except Failed as failed:
                # The frames that it came through hold it, and so would hold one another.
                failed.with_traceback(None)
                last = failed.behind(last)
            kind = last.fault.kind
            counts[kind] = counts.get(kind, 0) + 1
            await self._prepare_next(last, counts[kind])

    async def _once(self, work: Work[T]) -> T:
        """Make one attempt; raise `Failed`."""
        upstream = self._up
        if not upstream.breakers.all_closed:
            upstream.check_breakers(self._name)
        began = upstream.breakers.counted
        try:
            self._held = credential = self._lease()
            self._made += 1
            done = await work(credential)
        except Failed as failed:
            if self._held is not None:
                upstream.learn(self._held, self._name, failed.fault, began)
                self._leave(self._held, failed.fault.kind)
            raise
        except BaseException:
            for name in (self._name, HOST):
                upstream.breakers.undecided(name)
            raise
        upstream.learn(credential, self._name, None, began)
        return done

    def _lease(self) -> Credential:
        """Take a credential; it counts as no load, which is what the quotas of a model are for."""
        if self._held is not None:
            return self._held
        pool = self._up.pool
        found: Credential | None = None
        with suppress(GatewayError):
            found = pool.lease(self._name, avoid=self._avoid | self._shunned, only=self._project)
        try:
            found = found or pool.lease(self._name, avoid=self._avoid, only=self._project)
        except GatewayError as error:
            for name in (self._name, HOST):
                self._up.breakers.undecided(name)
            raise Failed(Fault(Kind.BUSY, error), final=True) from None
        pool.release(found)
        return found

    def _leave(self, credential: Credential, kind: Kind) -> None:
        """Ask *credential*, or its whole project, no more where *kind* tells that it is no use."""
        if not POLICIES[kind].elsewhere:
            return
        self._held = None
        if kind is Kind.NOT_HERE:
            self._made -= 1
            self._avoid |= {one.name for one in self._up.pool.members(credential.scope)}
        else:
            self._avoid |= {credential.name}

    async def _prepare_next(self, failed: Failed, count: int) -> None:
        """Wait until the next attempt may begin; raise `Failed` if there is to be none."""
        fault, policy = failed.fault, POLICIES[failed.fault.kind]
        if failed.final or self._made >= self._up.settings.max_attempts or count > policy.more:
            raise failed
        wait = pause(fault, max(1, self._made), random.uniform)
        if self._up.loop.time() + wait >= self._deadline:
            raise failed
        if not policy.free and not self._up.budget.take():
            raise failed
        if wait:
            await asyncio.sleep(wait)
