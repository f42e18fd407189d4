import sys
import textwrap
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway import plugins
from gateway.chain import Chain
from gateway.keys import EXCHANGE
from gateway.plugins import PluginError


class FakeExchange:
    def __init__(self, carries_payload: bool) -> None:
        self.carries_payload = carries_payload
        self.headers = {}


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a third-party package outside of the repository."""
    package = tmp_path / "acme_models"
    package.mkdir()
    (package / "__init__.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import dataclass
            from aiohttp import web

            TRACE = []

            class Base:
                def __init__(self, options):
                    self.options = options
                async def __call__(self, request, handler):
                    response = await handler(request)
                    response.headers.add("x-passed", type(self).__name__)
                    return response

            class AllowList(Base):
                requires = ("payload",)
                @dataclass(frozen=True, slots=True)
                class Options:
                    models: list[str]
                    store: bool = False

            class Provider(Base):
                provides = ("payload",)
                @dataclass(frozen=True)
                class Options:
                    depth: int = 3
                    def __post_init__(self):
                        if self.depth > 9:
                            raise ValueError("depth must be at most 9")
                async def lifespan(self, app):
                    TRACE.append("up")
                    yield
                    TRACE.append("down")

            class Renamed:
                requires = ("payload",)
                async def __call__(self, request, call_next):
                    response = await call_next(request)
                    response.headers.add("x-passed", "Renamed")
                    return response
                async def lifespan(self, app):
                    TRACE.append("renamed up")
                    yield

            class ByPlace(Renamed):
                async def __call__(self, request, handler, /):
                    return await super().__call__(request, handler)

            class Slotted:
                __slots__ = ()
                async def __call__(self, request, handler):
                    return await handler(request)

            class WrongLifespan(Slotted):
                async def lifespan(self, app):
                    pass

            class ForgottenComma(Slotted):
                requires = ("payload")

            class OfOneArgument:
                async def __call__(self, request):
                    pass

            class OfThree:
                async def __call__(self, request, handler, more):
                    pass

            class Generator(Slotted):
                async def __call__(self, request, handler):
                    yield

            class NoTuple(Slotted):
                requires = None

            class Mistyped(Slotted):
                requires = ("paylod",)

            class NoDataclass(Base):
                class Options:
                    depth = 3

            class Unmade(Base):
                @dataclass
                class Options:
                    depth: int = 3
                    def __post_init__(self):
                        raise KeyError("depth")

            class Unresolved(Base):
                @dataclass
                class Options:
                    depth: "Nowhere" = None

            class Exiting:
                def __init__(self):
                    raise SystemExit(4)

            class Silent:
                pass

            class Broken:
                def __init__(self):
                    raise RuntimeError("no disk")

            @web.middleware
            async def plain(request, handler):
                response = await handler(request)
                response.headers.add("x-passed", "plain")
                return response

            async def undecorated(request, handler):
                return await handler(request)
            """
        )
    )
    (tmp_path / "acme_exits.py").write_text("raise SystemExit('no\\nlicense')")
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('bad import')")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("acme_models", "acme_broken"):
        sys.modules.pop(name, None)


PROVIDER = {"use": "acme_models:Provider"}
ALLOW_LIST = {"use": "acme_models:AllowList", "models": ["a"]}


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        (({},), "middlewares[0].use: must be 'package.module:Class', not None"),
        (({"use": "acme"},), "middlewares[0].use: must be 'package.module:Class', not 'acme'"),
        (({"use": "acme_nowhere:X"},), "middlewares[0].use: 'acme_nowhere' cannot be imported"),
        (({"use": "acme_broken:X"},), "RuntimeError: bad import"),
        (({"use": "acme_models:AllowLst"},), "did you mean 'AllowList'?"),
        (
            (PROVIDER, {**ALLOW_LIST, "sotre": 1}),
            "middlewares[1]: unknown option 'sotre'; known: models, store",
        ),
        ((PROVIDER, {"use": "acme_models:AllowList"}), "middlewares[1]: Object missing required"),
        (
            (PROVIDER, {**ALLOW_LIST, "models": [1]}),
            "middlewares[1].models[0]: Expected `str`, got `int`",
        ),
        (({**PROVIDER, "depth": "3"},), "middlewares[0].depth: Expected `int`, got `str`"),
        (({**PROVIDER, "depth": 10},), "middlewares[0]: depth must be at most 9"),
        ((ALLOW_LIST, PROVIDER), "middlewares[0]: requires 'payload', which nothing before it"),
        (({"use": "acme_models:Slotted", "x": 1},), "middlewares[0]: unknown option 'x'"),
        (({"use": "acme_models:plain", "x": 1},), "middlewares[0]: unknown option 'x'"),
        (({"use": "acme_models:undecorated"},), "neither a class nor a function made by"),
        (({"use": "acme_models:Silent"},), "it has no __call__(request, handler)"),
        (({"use": "acme_models:Broken"},), "cannot be created: RuntimeError: no disk"),
        (({"use": "acme_models:WrongLifespan"},), "must be an async generator"),
        (({"use": "acme_models:ForgottenComma"},), "are tuples of texts, not 'payload'"),
        (({"use": "acme_models:NoTuple"},), "are tuples of texts, and nothing else"),
        (({"use": "acme_models:Mistyped"},), "did you mean 'payload'?"),
        (({"use": "acme_models:NoDataclass"},), "middlewares[0]: its Options are not a dataclass"),
        (({"use": "acme_models:Unmade"},), "its Options cannot be created: KeyError: 'depth'"),
        (
            ({"use": "acme_models:Unresolved"},),
            "its Options cannot be created: NameError: name 'No",
        ),
        (({"use": "acme_models:Exiting"},), "cannot be created: SystemExit: 4"),
        (({"use": "acme_exits:X"},), "cannot be imported: SystemExit: no license"),
        (({"use": "acme_models:OfOneArgument"},), "it has no __call__(request, handler)"),
        (({"use": "acme_models:OfThree"},), "it has no __call__(request, handler)"),
        (({"use": "acme_models:Generator"},), "it has no __call__(request, handler)"),
    ],
)
def test_each_mistake_is_told_with_its_place(acme, tables, complaint):
    with pytest.raises(PluginError) as caught:
        plugins.load(tables)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("tables", "missing"),
    [
        ((), "license"),
        (({"use": "middlewares.license:LicenseAuth"},), "call"),
        ((PROVIDER,), "license"),
    ],
)
def test_a_chain_behind_which_nothing_could_be_answered_is_refused(acme, tables, missing):
    with pytest.raises(PluginError, match=f"middlewares: none of them provides '{missing}'"):
        plugins.require_whole(plugins.load(tables))


async def _passed(chain: Chain, *, carries_payload: bool) -> list[str]:
    @web.middleware
    async def edge(request, handler):
        request[EXCHANGE] = FakeExchange(carries_payload)
        return await handler(request)

    async def handler(request):
        return web.Response(text="answer")

    app = web.Application(middlewares=[edge])
    app.router.add_get("/", chain.wrap(handler))
    app.cleanup_ctx.extend(chain.lifespans)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        assert await response.text() == "answer"
        return response.headers.getall("x-passed", [])


async def test_a_third_party_chain_runs_in_the_order_of_the_file(acme):
    tables = ({"use": "acme_models:plain"}, {"use": "acme_models:Slotted"}, PROVIDER, ALLOW_LIST)
    assert await _passed(plugins.load(tables), carries_payload=True) == [
        "AllowList",
        "Provider",
        "plain",
    ]


async def test_middlewares_of_the_payload_stay_out_of_exchanges_without_one(acme):
    tables = (PROVIDER, {"use": "acme_models:plain"}, ALLOW_LIST)
    assert await _passed(plugins.load(tables), carries_payload=False) == ["plain"]


@pytest.mark.parametrize("name", ["Renamed", "ByPlace"])
async def test_the_second_argument_may_have_any_name(acme, name):
    tables = (PROVIDER, {"use": f"acme_models:{name}"})
    assert await _passed(plugins.load(tables), carries_payload=True) == ["Renamed", "Provider"]
    assert await _passed(plugins.load(tables), carries_payload=False) == []
    import acme_models

    assert "renamed up" in acme_models.TRACE


async def test_a_lifespan_surrounds_the_life_of_the_app(acme):
    await _passed(plugins.load((PROVIDER,)), carries_payload=True)
    import acme_models

    assert acme_models.TRACE == ["up", "down"]
