"""The store on a Valkey or Redis server, alone, behind Sentinels or as a Cluster.

All counters of a license are one string and one sorted set that share a cluster slot; one Lua call
takes from all of them by the server's clock. There are two batchers, so that large values never
delay a take. A slot lives for `SLOT_TTL_S` and is renewed by `tend`, so those of a killed process
expire by themselves.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from gateway.state.batcher import Batcher, Command, PatientTimeout, Replies
from gateway.state.calendar import Windows
from gateway.state.client import Client
from gateway.state.counter_script import (
    HAS_VALUES,
    SCRIPT,
    SEED,
    SETTLE,
    SHA,
    TAKE,
    pack_request,
    unpack_reply,
    windows_counted_in,
)
from gateway.state.held_slots import HeldSlots
from gateway.state.lost import LostSettlements
from gateway.state.rules import REQUESTS, SLOTS, Amounts, Plan, Rule, changes, revised
from gateway.state.store import ActualUse, Grant, News, NotDone, Publish, StoreDown
from gateway.state.table import RemoteTable

TIMEOUT_S: Final = 0.05
# A probe opens connections, which takes several round trips and perhaps a TLS handshake.
PROBE_TIMEOUT_S: Final = 1.0
SLOT_TTL_S: Final = 15.0
# The version of each kind of stored data, to be raised with every change of its form, so that
# machines of two versions do not misread one another.
FORMS: Final = {"counts": 1, "slots": 1, "kept": 1, "nodes": 1, "value": 1, "table": 1}


class ValkeyStore:
    """Counts on the server at *url*; raises `StoreDown` whenever it does not answer in time.

    With *clock* (Unix seconds) counting goes by that instead of by the server's own.
    """

    # Otherwise limits hold while the server is down.
    counts_on_server = True

    def __init__(
        self,
        url: str,
        namespace: str,
        *,
        timeout_s: float = TIMEOUT_S,
        slot_ttl_s: float = SLOT_TTL_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.nodes = 1
        self._slots = HeldSlots()
        self._client = Client(url, PROBE_TIMEOUT_S, {SHA: SCRIPT})
        self._lost = LostSettlements()
        self._counts = Batcher(
            self._client.send,
            timeout_s,
            connect=self._client.connect,
            on_lost=self._lost.note,
        )
        self._values = Batcher(self._client.send, timeout_s, connect=self._client.connect)
        self._namespace = namespace
        self.slot_ttl_s = slot_ttl_s
        self._clock = clock
        self._ahead_s = time.time() - time.monotonic()
        self._run_ids: set[str] = set()
        self._tables: list[RemoteTable] = []
        # Licenses for which no values were kept at their last take.
        self._without_values: set[str] = set()
        self._keys: dict[str, tuple[bytes, ...]] = {}

    def now(self) -> float:
        """Return the server's time in Unix seconds, extrapolated from when it was last seen."""
        return self._clock() if self._clock else time.monotonic() + self._ahead_s

    async def probe(self) -> bool:
        """Connect, or find that the server still does not answer; learn its time.

        Tells whether it, or a member of a Cluster, was never seen before or was restarted: then it
        may have come back empty.
        """
        probing = Batcher(self._client.send, PROBE_TIMEOUT_S)
        with self._client.checking_replies():
            [(seconds, micros)] = await probing.ask(("TIME",))
            self._ahead_s = int(seconds) + int(micros) / 1e6 - time.monotonic()
        # Some servers forbid the command.
        with suppress(StoreDown), self._client.checking_replies(), PatientTimeout(PROBE_TIMEOUT_S):
            before = self._run_ids
            current = {str(reply["run_id"]) for reply in await self._client.info("server")}
            # A server that does not answer now is not new when it does.
            self._run_ids = before | current
            return bool(before and current - before)
        return False

    async def tend(self) -> bool:
        """Renew the slots held here and this node's place among the nodes.

        Called several times in a slot's life. A slot that was given back is not renewed, as the
        batcher keeps the order. Settlements that the server did not receive are sent once more.

        Tells whether the server did not know this node: it is new, or the server was emptied.
        """
        for command in self._lost.pop():
            self._counts.tell(command)
        now = self.now()
        until = now + self.slot_ttl_s
        for license_id, slots in self._slots.held():
            entries = [entry for slot in slots for entry in (round(until * 1e6), slot)]
            self._counts.tell(("ZADD", self._key("slots", license_id), *entries))
        nodes = self._key("nodes")
        added, _, count = await self._counts.ask(
            ("ZADD", nodes, until, self._slots.node),
            ("ZREMRANGEBYSCORE", nodes, "-inf", now),
            ("ZCARD", nodes),
        )
        with self._client.checking_replies():
            self.nodes = max(1, count)
            return bool(added)

    async def may_evict(self) -> bool:
        """Tell whether the server, or a member of a Cluster, deletes keys when it is full."""
        with suppress(StoreDown), self._client.checking_replies():
            return any(
                reply["maxmemory"] and reply["maxmemory_policy"] != "noeviction"
                for reply in await self._client.info("memory")
            )
        return False

    async def close(self) -> None:
        """Leave the list of nodes, send what is pending, and disconnect."""
        self._counts.tell(("ZREM", self._key("nodes"), self._slots.node))
        await self._counts.close()
        await self._values.close()
        await self._client.close()

    async def take(self, plan: Plan, demand: Amounts) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them, in one call."""
        windows = plan.calendar.at(self.now())
        slot = self._slots.new() if demand[SLOTS] and plan.has_slots else ""
        amounts = ((rule, min(demand[rule.unit], rule.limit)) for rule in plan.rules)
        replies = self._counts.post(
            self._call(TAKE, plan, slot, windows, amounts),
            unclaimed=partial(self._settle_unclaimed, plan, demand, windows),
        )
        try:
            [reply] = await replies
            return self._grant(plan, demand, windows, slot, unpack_reply(reply))
        except NotDone:
            # Nothing was taken.
            raise
        except asyncio.CancelledError:
            self._without_values.discard(plan.license_id)
            if slot:
                # Harmless if none was taken; else it is free for the next request.
                self._counts.tell(self._call(SETTLE, plan, slot, windows, ()))
            if not replies.cancelled():
                self._settle_unclaimed(plan, demand, windows, replies)
            raise
        except Exception as error:
            self._without_values.discard(plan.license_id)
            # The answer is late: give back what may have been taken.
            self.settle(Grant(plan, demand, windows, 0.0, (), slot=slot), ActualUse())
            self._client.raise_if_malformed(error)
            raise

    def revise(self, grant: Grant, demand: Amounts) -> Grant:
        """Reserve *demand* instead of what was reserved; never waits."""
        more = list(revised(grant.plan, grant.demand, demand))
        if more:
            self._counts.tell(self._call(SETTLE, grant.plan, "", grant.windows, more))
        grant.demand = demand
        return grant

    def settle(self, grant: Grant, use: ActualUse) -> None:
        """Book what the request really used and give back its slot; never waits."""
        plan, slot = grant.plan, grant.slot
        final = grant.demand[REQUESTS], use.tokens, use.usd, 0
        more = [
            change for change in changes(plan, grant.demand, final) if change[0].kind != "slots"
        ]
        if slot:
            self._slots.release(plan.license_id, slot)
        if slot or more:
            self._counts.tell(self._call(SETTLE, plan, slot, grant.windows, more))

    async def seed(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Raise the day's and month's use to *spent*."""
        windows = plan.calendar.at(self.now())
        amounts = [
            (rule, spent[rule.name])
            for rule in plan.rules
            if rule.kind in {"day", "month"} and rule.name in spent
        ]
        await self._counts.ask(self._call(SEED, plan, "", windows, amounts))

    async def get(self, keys: list[str]) -> list[bytes | None]:
        """Return the values of *keys*; None for each that is unknown."""
        return await self._values.ask(*(("GET", self._key("value", key)) for key in keys))

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep *value* for *ttl_s* seconds; never waits."""
        milliseconds = max(1, round(ttl_s * 1000))
        self._values.tell(("SET", self._key("value", key), value, "PX", milliseconds))

    def note_values(self, owner: str, ttl_s: float) -> None:
        """Tell all that values of the license *owner* are kept for *ttl_s* seconds; never waits."""
        self._without_values.discard(owner)
        milliseconds = max(1, round(ttl_s * 1000))
        self._values.tell(("SET", self._key("kept", owner), b"", "PX", milliseconds))

    def may_have_values(self, owner: str) -> bool:
        """Tell whether the last take of the license *owner* found values; true before any."""
        return owner not in self._without_values

    def table(self, name: str, news: News, /) -> Publish:
        """Join the table *name*; `pull` delivers its news."""
        table = RemoteTable(self._key("table", name), self._values, news, self.now)
        self._tables.append(table)
        return table.publish

    async def pull(self) -> None:
        """Receive what the other processes published in the tables that were joined."""
        with self._client.checking_replies():
            for table in self._tables:
                await table.pull()

    def _settle_unclaimed(
        self, plan: Plan, demand: Amounts, windows: Windows, replies: Replies
    ) -> None:
        """Give back what was taken for a client that has left, but for its slot.

        A take that was refused has taken nothing, and must not make room for others.
        """
        try:
            with self._client.checking_replies():
                [reply] = replies.result()
                refused_number = unpack_reply(reply)[0]
        except NotDone:
            return
        except StoreDown:
            # It may have been taken.
            refused_number = 0.0
        if not refused_number:
            self.settle(Grant(plan, demand, windows, 0.0, ()), ActualUse())

    def _grant(
        self, plan: Plan, demand: Amounts, windows: Windows, slot: str, answer: tuple[float, ...]
    ) -> Grant:
        """Return the grant that the script's *answer* to a take means, and note what it shows."""
        refused_number, wait_us, now_us, flags, *used = answer
        if flags > HAS_VALUES:
            windows = windows_counted_in(windows, int(flags))
        if int(flags) & HAS_VALUES:
            self._without_values.discard(plan.license_id)
        else:
            self._without_values.add(plan.license_id)
        now = now_us / 1e6
        self._ahead_s = now - time.monotonic()
        refused = plan.rules[int(refused_number) - 1] if refused_number else None
        if slot and not refused:
            self._slots.hold(plan.license_id, slot)
        return Grant(plan, demand, windows, now, tuple(used), refused, wait_us, slot)

    def _call(
        self,
        what: int,
        plan: Plan,
        slot: str,
        windows: Windows,
        amounts: Iterable[tuple[Rule, int]],
    ) -> Command:
        now_us = self._clock() * 1e6 if self._clock else 0.0
        keys = self._keys_of(plan.license_id)
        # Few arguments, and bytes: the client takes a microsecond or two to write each.
        return (
            "EVALSHA",
            SHA,
            *((b"3", *keys) if what == TAKE else (b"2", *keys[:2])),
            slot.encode(),
            pack_request(what, now_us, self.slot_ttl_s, windows, amounts),
        )

    def _keys_of(self, license_id: str) -> tuple[bytes, ...]:
        keys = self._keys.get(license_id)
        if keys is None:
            kinds = ("counts", "slots", "kept")
            keys = tuple(self._key(kind, license_id).encode() for kind in kinds)
            self._keys[license_id] = keys
        return keys

    def _key(self, kind: str, name: str = "") -> str:
        # The braces put all keys of one license into one slot of a Cluster, whatever its id; the
        # sign is there because empty braces would not count.
        return f"{self._namespace}:{kind}.{FORMS[kind]}:{{@{name}}}"
