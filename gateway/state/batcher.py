"""Sends commands to a server in batches.

Commands that arrive while one batch is on its way form the next one. A lone command is sent at
once; under load many share one round trip; and the order is kept: a slot given back is free for the
next request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.exceptions import ResponseError

from gateway.state.store import NotDone, StoreDown

Command = tuple[Any, ...]
Replies = asyncio.Future[list[Any]]
# Called with the replies to commands when whoever waited for them has been cancelled.
Unclaimed = Callable[[Replies], object]
# Commands that belong together, and the future of their replies if somebody awaits them.
Entry = tuple[tuple[Command, ...], Replies | None, Unclaimed | None]
Send = Callable[[list[Command]], Awaitable[list[Any]]]
# Returns what to await before commands can be sent, or None if a connection is there.
Connect = Callable[[], Awaitable[None] | None]
# Called with commands that failed and that nobody awaits; the flag is true if they may have been
# executed all the same.
OnLost = Callable[[tuple[Command, ...], bool], None]

# Beyond this number commands that nobody awaits are dropped: the server is too slow for them.
MAX_QUEUE: Final = 20_000
# Between bytes in the socket and the reply in the task the loop turns a few times.
GRACE_TURNS: Final = 10
SLICES: Final = 4


def _is_connected() -> None:
    """Have nothing to wait for."""


class Batcher:
    """Batches commands for *send*, which returns a list or raises `StoreDown`.

    What fails in *connect*, which precedes it, has not been sent.
    """

    __slots__ = ("_connect", "_on_lost", "_queue", "_send", "_task", "_timeout_s")

    def __init__(
        self,
        send: Send,
        timeout_s: float,
        *,
        connect: Connect = _is_connected,
        on_lost: OnLost | None = None,
    ) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._connect = connect
        self._on_lost = on_lost
        self._queue: list[Entry] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, *commands: Command) -> list[Any]:
        """Return the replies to *commands*; raise `StoreDown` after the timeout at the latest."""
        return await self.post(*commands)

    def post(self, *commands: Command, unclaimed: Unclaimed | None = None) -> Replies:
        """Send *commands*; return the future of what `ask` would return.

        If it is cancelled before, another such future is passed to *unclaimed* when it is done.
        """
        future: Replies = asyncio.get_running_loop().create_future()
        self._enqueue((commands, future, unclaimed))
        return future

    def tell(self, *commands: Command) -> None:
        """Send *commands* and forget them."""
        if len(self._queue) < MAX_QUEUE:
            self._enqueue((commands, None, None))

    async def close(self) -> None:
        """Wait until everything is sent or has failed."""
        while self._task:
            await self._task

    def _enqueue(self, entry: Entry) -> None:
        self._queue.append(entry)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                is_sent = False
                try:
                    with PatientTimeout(self._timeout_s):
                        # Another batcher may take the connection.
                        while (connecting := self._connect()) is not None:
                            await connecting
                        is_sent = True
                        replies = await self._send(
                            [command for commands, _, _ in batch for command in commands]
                        )
                except Exception as error:  # noqa: BLE001 - whoever waits has to hear of any
                    # Those in the queue would wait just as long, and in vain.
                    queued, self._queue = self._queue, []
                    reason = str(error) or type(error).__name__
                    self._fail_all(batch, StoreDown(reason) if is_sent else NotDone(reason))
                    self._fail_all(queued, NotDone(reason))
                else:
                    self._resolve_all(batch, replies)
        finally:
            self._task = None

    def _resolve_all(self, batch: list[Entry], replies: list[Any]) -> None:
        start = 0
        for entry in batch:
            end = start + len(entry[0])
            own = replies[start:end]
            for reply in own:
                if isinstance(reply, Exception):
                    # A refused command was not executed; one whose reply was lost may have been.
                    kind = NotDone if isinstance(reply, ResponseError) else StoreDown
                    self._fail(entry, kind(str(reply)))
                    break
            else:
                if recipient := _recipient(entry[1], entry[2]):
                    recipient.set_result(own)
            start = end

    def _fail_all(self, entries: list[Entry], error: StoreDown) -> None:
        for entry in entries:
            self._fail(entry, type(error)(str(error)))

    def _fail(self, entry: Entry, error: StoreDown) -> None:
        commands, future, unclaimed = entry
        if future is None:
            if self._on_lost is not None:
                self._on_lost(commands, not isinstance(error, NotDone))
        elif recipient := _recipient(future, unclaimed):
            recipient.set_exception(error)


class PatientTimeout:
    """Ends the work of the current task after *seconds*, by raising `StoreDown`.

    The answer may have arrived while this process was too busy to read it, and a busy process must
    not take its server for dead. So the loop still turns a few times when the time is up. And a
    process that stood still loses a slice of the time only: connecting takes several answers.
    """

    __slots__ = ("_cancelling", "_handle", "_is_over", "_loop", "_slice_s", "_task")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._is_over = False
        self._slice_s = seconds / SLICES
        self._handle: asyncio.Handle
        self._begin_slice(SLICES)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        self._handle.cancel()
        if self._is_over:
            # Somebody else may have cancelled the task as well, and that takes precedence.
            is_own = self._task.uncancel() <= self._cancelling
            if is_own and kind is asyncio.CancelledError:
                raise StoreDown("no answer in time") from error

    def _begin_slice(self, left: int) -> None:
        if left:
            self._handle = self._loop.call_later(self._slice_s, self._begin_slice, left - 1)
        else:
            self._give_up(GRACE_TURNS)

    def _give_up(self, turns: int) -> None:
        if turns:
            self._handle = self._loop.call_soon(self._give_up, turns - 1)
        else:
            self._is_over = True
            self._task.cancel()


def _recipient(future: Replies | None, unclaimed: Unclaimed | None) -> Replies | None:
    """Return the future that takes the replies for *future*, if any: itself unless cancelled."""
    if future is None or not future.done():
        return future
    if unclaimed is None:
        return None
    late: Replies = future.get_loop().create_future()
    late.add_done_callback(unclaimed)
    return late
