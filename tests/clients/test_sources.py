"""Sources, server-side tools and actions from the simulator, through a gateway to its client."""

from collections import Counter

import pytest

from gateway.dialects.openai_chat.reply import collect
from tests.running import settings_for

SAID = ["Das Café schließt um 18 Uhr.", "巴黎是法国的首都。", "The source says so 😀."]
SEARCH, MAPS, CODE = {"google_search": {}}, {"google_maps": {}}, {"code_execution": {}}
STORE = "fileSearchStores/menus"
FILES = {"file_search": {"file_search_store_names": [STORE]}}
IMAGES = {"google_search": {"search_types": {"web_search": {}, "image_search": {}}}}
PAGES = {"type": "function", "function": {"name": "urlContext"}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
# What is asked and with which tools; the addresses of the citations, as often as they come.
CASES = {
    "search": ("Who?", [SEARCH], {"one": 2, "two": 1}),
    "maps": ("Where?", [MAPS], {"https://maps.google.com/?cid=1": 3}),
    "files": ("Which?", [FILES], {STORE: 3}),
    "pages": ("Who?", [PAGES], {"one": 2, "two": 1, "https://example.com/": 1}),
    "images": ("Who?", [IMAGES], {"one": 1, "two": 1, "https://example.com/photos": 1}),
    "citations": ("Recite it", [], {"": 1, "https://github.com/example/recited": 1}),
    "code": ("Recite", [CODE], {"": 1, "https://github.com/example/recited": 1}),
    "plot": ("Plot it", [CODE, SEARCH], {"one": 2, "two": 1}),
    "all": ("Plot", [CODE, MAPS, FILES], {"https://maps.google.com/?cid=1": 2, STORE: 1}),
}


@pytest.fixture
async def gateway(running, simulator):
    async with running(settings_for(simulator.url)) as one:
        yield one


async def both(gateway, question, tools, **fields):
    """Return the answer's choice, which a stream says exactly as a whole answer does."""
    fields |= {"messages": [{"role": "user", "content": question}]}
    if tools:
        fields["tools"] = tools
    status, body, headers = await gateway.whole(**fields)
    assert status == 200, body
    assert "x-gateway-dropped" not in headers
    got = await gateway.stream(**fields)
    assert got.done
    assert got.error is None
    [choice], [folded] = body["choices"], collect.choices(got.chunks)
    for call, other in zip(calls(choice), calls(folded), strict=True):
        # Ids that Gemini did not give are new in every answer.
        other["id"] = call["id"]
    assert folded == choice
    return choice


def calls(choice):
    return choice["message"].get("tool_calls", [])


def cited(message):
    """Return the cited texts of *message*, without those that stand for all of it."""
    places = [
        (a["url_citation"]["start_index"], a["url_citation"]["end_index"]) for a in notes(message)
    ]
    content = message["content"]
    return [content[start:end] for start, end in places if (start, end) != (0, len(content))]


def notes(message):
    assert {annotation["type"] for annotation in message["annotations"]} == {"url_citation"}
    return message["annotations"]


@pytest.mark.parametrize("name", CASES)
async def test_sources_of_every_kind_are_cited_by_code_points(gateway, name):
    question, tools, urls = CASES[name]
    message = (await both(gateway, question, tools))["message"]
    given = [note["url_citation"]["url"].rpartition("redirect/")[2] for note in notes(message)]
    assert Counter(given) == urls
    assert set(cited(message)) <= set(SAID)
    assert cited(message)[-1] == SAID[-1]


@pytest.mark.parametrize("name", ["code", "plot", "all"])
async def test_code_and_plots_between_the_sentences_shift_their_places(gateway, name):
    question, tools, _ = CASES[name]
    message = (await both(gateway, question, tools))["message"]
    before, _, after = message["content"].partition("```python")
    assert before.strip() == SAID[0]
    assert after.endswith(SAID[2])
    assert ("![image](data:image/png" in after) == ("Plot" in question)
    assert [item["type"] for item in message["code_execution"]] == ["code", "result"]


async def test_the_metadata_is_there_as_gemini_gave_it(gateway, simulator):
    message = (await both(gateway, "Recite it", [SEARCH, PAGES]))["message"]
    native = simulator.received[0].body
    url = f"{simulator.url}/v1beta/models/gemini-2.5-flash:generateContent"
    async with gateway.session.post(url, json=native, headers={"x-goog-api-key": "k"}) as response:
        [candidate] = (await response.json())["candidates"]
    names = {"groundingMetadata", "urlContextMetadata", "citationMetadata"}
    assert message["grounding"] == {name: candidate[name] for name in names}


async def test_what_google_asked_its_tools_goes_out_and_back_up_as_it_came(gateway, simulator):
    fields = {"model": "gemini-3.5-flash"}
    tools = [SEARCH, MAPS, WEATHER]
    question = {"role": "user", "content": "Weather in Paris?"}
    _, body, _ = await gateway.whole(messages=[question], tools=tools, **fields)
    call = body["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "18 °C"}
    _, body, _ = await gateway.whole(messages=[question, call, result], tools=tools, **fields)
    answer = body["choices"][0]["message"]
    kinds = [part.keys() & {"toolCall", "toolResponse"} for part in answer["native_parts"]]
    assert kinds == [{"toolCall"}, {"toolResponse"}] * 2
    assert "18 °C" in answer["content"]
    assert answer["annotations"]
    # A client that keeps what OpenAI's API knows and nothing else.
    plain = {"role": "assistant", "content": answer["content"]}
    more = {"role": "user", "content": "Sure?"}
    status, body, _ = await gateway.whole(
        messages=[question, call, result, plain, more], tools=tools, **fields
    )
    assert status == 200, body
    parts = simulator.received[-1].body["contents"][3]["parts"]
    assert parts[:4] == answer["native_parts"]
    assert all("thoughtSignature" in part for part in parts[:4])


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.5-flash"])
async def test_an_action_on_the_screen_is_a_tool_call_whose_result_goes_back(gateway, model):
    tools = [{"computer_use": {"environment": "ENVIRONMENT_BROWSER"}}]
    choice = await both(gateway, "Click it", tools, model=model)
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "click_at", "arguments": '{"x":500,"y":120}'}
    question = {"role": "user", "content": "Click it"}
    result = {"role": "tool", "tool_call_id": call["id"], "content": '{"url":"https://a.example"}'}
    status, body, _ = await gateway.whole(
        model=model, messages=[question, choice["message"], result], tools=tools
    )
    assert status == 200, body
    assert "click_at answered" in body["choices"][0]["message"]["content"]


async def test_an_answer_from_maps_fits_the_schema_asked_for(gateway):
    schema = {"type": "object", "properties": {"city": {"enum": ["Wien"]}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    status, body, headers = await gateway.whole(
        model="gemini-3.5-flash",
        messages=[{"role": "user", "content": "Where?"}],
        tools=[MAPS],
        response_format=form,
    )
    assert status == 200, body
    assert "x-gateway-adjusted" not in headers
    assert '"city":"Wien"' in body["choices"][0]["message"]["content"]
