"""The app as a whole: what is wired to what."""

from gateway.keys import RELOADERS
from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal
from tests.running import LICENSE, settings_for


async def test_a_reload_takes_over_licenses_credentials_and_models(running):
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        changed = settings_for(
            upstream.url,
            keys=("key-2",),
            licenses=[{"id": "new", "key": "new-license"}],
            models={"aliases": {"fast": "gemini-2.5-pro"}},
        )
        for reload in gateway.app[RELOADERS]:
            await reload(changed)
        assert (await gateway.whole())[0] == 401
        headers = {"Authorization": "new-license"}
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
        url = f"{gateway.url}/v1/chat/completions"
        async with gateway.session.post(url, json=body, headers=headers) as response:
            assert response.status == 200
        assert upstream.keys == ["key-2"]
        assert "models/gemini-2.5-pro:" in upstream.seen[0].path


async def test_it_is_not_ready_without_a_usable_credential(running):
    async with (
        ScriptedUpstream(refusal(401, "UNAUTHENTICATED")) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        await gateway.whole()
        root = gateway.url.removesuffix("/gemini")
        async with gateway.session.get(f"{root}/readyz") as response:
            assert response.status == 503
            assert "credential" in str(await response.json())


async def test_no_license_key_and_no_upstream_key_is_in_any_answer(running, capfd):
    async with (
        ScriptedUpstream(refusal(403, "PERMISSION_DENIED", "Consumer 'api_key:key-1'")) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for streaming in (True, False):
            async with gateway.post(stream=streaming) as response:
                told = await response.text() + str(response.headers)
                assert "key-1" not in told
                assert LICENSE not in told
    printed = capfd.readouterr()
    assert "key-1" not in printed.out + printed.err
