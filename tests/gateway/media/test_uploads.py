"""The large items of a request end up in one project, moved once where its keys fail half way."""

import pytest

from gateway.dialects import OPENAI_CHAT
from gateway.dialects.openai_chat.embedded import inline
from gateway.errors import GatewayError, QuotaSpent
from gateway.exchange import Blob, Exchange, UpstreamCall
from gateway.media.formats import Claim
from gateway.media.parts import MediaPart
from gateway.media.shelf import StoredFile
from gateway.media.uploads import Uploads

MODEL = "gemini-test"


class Files:
    """Stores everything in the project asked for, *full* ones except; *first* where none is."""

    def __init__(self, first: list[str], full: dict[str, int]) -> None:
        self.first = first
        self.full = full
        self.stored: list[str] = []

    async def find(self, name: str) -> str | None:
        return name.rpartition("/")[2]

    async def store(self, window, mime: str, model: str, project: str | None) -> StoredFile:
        assert model == MODEL
        project = project or self.first.pop(0)
        self.full[project] = self.full.get(project, 9) - 1
        if self.full[project] < 0:
            raise QuotaSpent("spent")
        self.stored.append(bytes(window).decode())
        return StoredFile(Blob(mime, uri=f"{project}/{bytes(window).decode()}"), project, 0.0)


def uploads(*items: str) -> tuple[Exchange, Uploads]:
    exchange = Exchange("req-1", OPENAI_CHAT, 0.0)
    exchange.payload = {"model": MODEL, "messages": []}
    large = Uploads(exchange)
    parts = []
    for number, item in enumerate(items):
        part = MediaPart((0, number), Claim(f"part {number}", ("image",)), {}, "url")
        large.add(part, item.encode(), "image/png")
        parts.append(inline(exchange.media[part.at]))
    contents = [{"role": "user", "parts": [{"text": "?"}, *parts]}]
    exchange.call = UpstreamCall(MODEL, {"contents": contents}, stream=False)
    return exchange, large


def places(exchange: Exchange) -> list[str]:
    uris = [exchange.media[key].uri for key in sorted(exchange.media)]
    [turn] = exchange.call.body["contents"]
    assert [part["fileData"]["fileUri"] for part in turn["parts"][1:]] == uris
    assert exchange.call.project == exchange.media_project
    return uris


async def test_all_items_go_to_the_project_of_the_first():
    exchange, large = uploads("a", "b")
    await large.store(Files(["one", "two"], {}), MODEL)
    assert places(exchange) == ["one/a", "one/b"]
    assert exchange.media_project == "one"


async def test_items_go_to_the_project_of_a_file_that_the_client_names():
    exchange, large = uploads("a")
    large.note_named_file("part 1", "files/two")
    await large.store(Files(["one"], {}), MODEL)
    assert places(exchange) == ["two/a"]


async def test_all_items_move_when_the_keys_of_their_project_fail_half_way():
    exchange, large = uploads("a", "b", "c")
    files = Files(["one", "two"], {"one": 1})
    await large.store(files, MODEL)
    # It begins with the one that failed.
    assert files.stored == ["a", "b", "c", "a"]
    assert places(exchange) == ["two/a", "two/b", "two/c"]
    assert exchange.media_project == "two"


@pytest.mark.parametrize(("items", "named"), [("a", None), ("ab", "files/one")])
async def test_what_cannot_move_names_the_part_that_failed(items, named):
    _, large = uploads(*items)
    if named:
        large.note_named_file("part 9", named)
    with pytest.raises(GatewayError) as caught:
        await large.store(Files(["two"] if named else ["one", "two"], {"one": 0}), MODEL)
    assert (caught.value.code, caught.value.param) == ("insufficient_quota", "part 0")
