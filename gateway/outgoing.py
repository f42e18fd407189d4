"""The gateway's side of a connection that it makes: what aiohttp and the event loops leave open."""

import asyncio

from aiohttp.client_proto import ResponseHandler


class OutgoingConnection(ResponseHandler):
    """One connection to a server, over TLS or not.

    Cut, it is gone at once; its end is told once all has been read that came before.
    """

    # The loss that is not told yet, with its cause.
    _lost: tuple[BaseException | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        super().connection_made(transport)
        set_limits = getattr(transport, "set_read_buffer_limits", None)
        if set_limits is not None:
            # TLS takes 256 KB while nobody reads, and uvloop's drops them when the server closes.
            # Now it takes nothing from the socket, the end neither, while there is something left.
            set_limits(high=1)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell who reads that this is the end, but not before the parser has given all it has."""
        if self._reading_paused and self.transport is not None:
            self._lost = (exc,)
        else:
            super().connection_lost(exc)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Go on after a pause: aiohttp does all of this after each read, paused or not."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)
            if not self._reading_paused:
                self._tell_loss()

    def abort(self) -> None:
        """Cut the connection, whatever is still unsent or unread."""
        super().abort()
        self._tell_loss()

    # A TLS connection that is closed waits up to 30 s for the server to agree, and takes what it
    # sends meanwhile; one whose server does not read waits for ever.
    close = abort

    def _tell_loss(self) -> None:
        if self._lost is not None:
            (error,), self._lost = self._lost, None
            super().connection_lost(error)
