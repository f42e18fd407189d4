"""Frameworks built on OpenAI's API run their streams, tools and structured outputs to the end."""

import gc
import os
import subprocess
import sys

import pytest
from pydantic import BaseModel

pytestmark = pytest.mark.filterwarnings("ignore")

MODEL = "gemini-2.5-flash"


class City(BaseModel):
    name: str
    inhabitants: int


def weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def test_langchain(base_url):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model=MODEL, base_url=base_url, api_key="demo", max_retries=0)
    assert "hello" in chat.invoke("echo hello").content
    assert "hello" in "".join(chunk.content for chunk in chat.stream("echo hello"))
    assert isinstance(chat.with_structured_output(City).invoke("Describe Paris"), City)
    bound = chat.bind_tools([tool(weather)])
    messages = [HumanMessage("What is the weather in Paris?")]
    first = bound.invoke(messages)
    assert first.tool_calls
    results = [ToolMessage(weather(**c["args"]), tool_call_id=c["id"]) for c in first.tool_calls]
    assert bound.invoke([*messages, first, *results]).content
    # It has no way to be closed; here, where warnings are not ours, its sockets may complain.
    del chat, bound
    gc.collect()


async def test_pydantic_ai(base_url):
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    # A client of our own: the framework's is kept for ever, with its connections.
    async with openai.AsyncOpenAI(base_url=base_url, api_key="demo", max_retries=0) as client:
        model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, tools=[weather])
        assert (await agent.run("What is the weather in Paris?")).output
        async with Agent(model).run_stream("echo hello") as streamed:
            assert "hello" in await streamed.get_output()
        described = await Agent(model, output_type=City).run("Describe Paris")
        assert isinstance(described.output, City)


def test_instructor(base_url):
    import instructor
    import openai

    with openai.OpenAI(base_url=base_url, api_key="demo", max_retries=0) as plain:
        for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
            client = instructor.from_openai(plain, mode=mode)
            found = client.chat.completions.create(
                model=MODEL,
                response_model=City,
                messages=[{"role": "user", "content": "Describe Paris"}],
            )
            assert isinstance(found, City)


def test_litellm(base_url):
    """In a process of its own: it changes logging and loops of the process it is in."""
    script = """
import litellm, sys
ask = dict(model="openai/gemini-2.5-flash", api_base=sys.argv[1], api_key="demo", num_retries=0)
hello = [{"role": "user", "content": "echo hello"}]
assert "hello" in litellm.completion(messages=hello, **ask).choices[0].message.content
chunks = list(litellm.completion(messages=hello, stream=True, **ask))
assert "hello" in "".join(c.choices[0].delta.content or "" for c in chunks)
tool = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
turn = [{"role": "user", "content": "What is the weather in Paris?"}]
first = litellm.completion(messages=turn, tools=[tool], **ask).choices[0].message
turn.append(first.model_dump())
for call in first.tool_calls:
    turn.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
assert litellm.completion(messages=turn, tools=[tool], **ask).choices[0].message.content
"""
    run([sys.executable, "-W", "ignore", "-c", script, base_url])


def test_llm(base_url, tmp_path):
    listed = f"- model_id: gw\n  model_name: {MODEL}\n  api_base: {base_url}\n  api_key_name: gw\n"
    (tmp_path / "extra-openai-models.yaml").write_text(listed)
    environ = {"LLM_USER_PATH": str(tmp_path)}
    command = [sys.executable, "-m", "llm", "prompt", "echo hello", "-m", "gw", "--key", "demo"]
    assert "hello" in run(command, **environ)
    assert "hello" in run([*command, "--no-stream"], **environ)


def run(command: list[str], **environ: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environ},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
