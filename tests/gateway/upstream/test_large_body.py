import tracemalloc

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from gateway.upstream.large_body import PIECE_BYTES, LargeBody


class FakeWriter:
    def __init__(self):
        self.pieces = []

    async def write(self, piece):
        self.pieces.append(piece)


async def test_the_whole_body_arrives_with_its_length():
    body = bytes(range(256)) * 1000 + b"end"

    async def answer(request):
        return web.json_response([request.content_length, await request.read() == body])

    app = web.Application()
    app.router.add_post("/", answer)
    async with (
        TestServer(app) as server,
        ClientSession() as session,
        session.post(server.make_url("/"), data=LargeBody(body)) as response,
    ):
        assert await response.json() == [len(body), True]


async def test_it_is_written_in_pieces_none_of_which_is_a_copy():
    body, writer = b"x" * (20 * PIECE_BYTES + 1), FakeWriter()
    tracemalloc.start()
    try:
        await LargeBody(body).write(writer)
        assert tracemalloc.get_traced_memory()[1] < PIECE_BYTES
    finally:
        tracemalloc.stop()
    assert b"".join(writer.pieces) == body
    assert max(map(len, writer.pieces)) == PIECE_BYTES


def test_it_can_be_read_as_text():
    assert LargeBody("für".encode()).decode() == "für"
