"""How a call is sent: head and body in one write, at once."""

from aiohttp import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from aiohttp.payload import BytesPayload

# As much as the transport takes without making anybody wait: an answer may come before upstream has
# read the body, or instead of that.
SMALL_BYTES = 49_152


class WholeRequest(ClientRequest):
    """A request whose body, where it is small, needs no task of its own to be written.

    aiohttp makes one for every body, which starts in the loop's next turn; from Python 3.12 on it
    starts it at once.
    """

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request to *conn* and give the answer, of which nothing is read yet."""
        body, protocol = self.body, conn.protocol
        if not (isinstance(body, BytesPayload) and (body.size or 0) <= SMALL_BYTES):
            return await super().send(conn)
        if protocol is None or protocol.writing_paused:
            return await super().send(conn)
        writer = StreamWriter(protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)
        await writer.write_eof(await body.as_bytes())
        protocol.start_timeout()
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=[],
            loop=self.loop,
            session=self.session,
            stream_writer=writer,
        )
