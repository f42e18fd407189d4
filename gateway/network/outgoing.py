"""Outgoing connections: aiohttp's, without the gaps that it and the event loops leave."""

import asyncio

from aiohttp.client_proto import ResponseHandler


class OutgoingConnection(ResponseHandler):
    """One connection to a server, with or without TLS.

    Cutting closes it at once; its end is reported once all data before it has been read.
    """

    # The loss that is not reported yet, with its cause.
    _lost: tuple[BaseException | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection."""
        super().connection_made(transport)
        set_limits = getattr(transport, "set_read_buffer_limits", None)
        if set_limits is not None:
            # TLS takes 256 KB while nobody reads, and uvloop's drops them when the server closes.
            # With this limit it reads nothing from the socket, not even the end, while any data is
            # left.
            set_limits(high=1)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Report the end to the reader, but not before the parser has delivered all data."""
        if self._reading_paused and self.transport is not None:
            self._lost = (exc,)
        else:
            super().connection_lost(exc)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Resume reading; aiohttp calls this after each read, paused or not."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)
            if not self._reading_paused:
                self._tell_loss()

    def abort(self) -> None:
        """Cut the connection, whatever is unsent or unread."""
        super().abort()
        self._tell_loss()

    # A TLS connection that is closed normally waits up to 30 s for the server to agree, and accepts
    # what it sends meanwhile; if the server does not read, it waits for ever.
    close = abort

    def _tell_loss(self) -> None:
        if self._lost is not None:
            (error,), self._lost = self._lost, None
            super().connection_lost(error)
