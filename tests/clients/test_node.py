"""Node's public SDKs: the npm packages `openai` and `ai`, installed for the run."""

import json
import shutil
import subprocess

import pytest

PACKAGES = ["openai@6", "ai@6", "@ai-sdk/openai-compatible@2", "zod@4"]
OPENAI = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.argv[2], apiKey: "demo", maxRetries: 0 });
const model = "gemini-2.5-flash";
const hello = [{ role: "user", content: "echo hello" }];
const tools = [{ type: "function", function: { name: "weather", parameters: {
  type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }];
const whole = await client.chat.completions.create({ model, messages: hello });
const streamed = await client.chat.completions.stream({ model, messages: hello }).finalContent();
const messages = [{ role: "user", content: "parallel: weather in Paris and Rome?" }];
const first = await client.chat.completions.stream({ model, messages, tools }).finalMessage();
messages.push(first);
for (const call of first.tool_calls)
  messages.push({ role: "tool", tool_call_id: call.id, content: "sunny" });
const last = await client.chat.completions.create({ model, messages, tools });
let refused;
try { await client.chat.completions.create({ model: "gemini-none", messages: hello }); }
catch (error) { refused = [error.status, error.code]; }
console.log(JSON.stringify({ whole: whole.choices[0].message.content, streamed,
  last: last.choices[0].finish_reason, refused }));
"""
AI = """
import { generateText, streamText, stepCountIs, tool } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";
const provider = createOpenAICompatible({ name: "gw", baseURL: process.argv[2], apiKey: "demo" });
const model = provider("gemini-2.5-flash");
const whole = await generateText({ model, prompt: "echo hello", maxRetries: 0 });
const stream = streamText({ model, prompt: "echo hello", maxRetries: 0 });
let streamed = "";
for await (const text of stream.textStream) streamed += text;
const weather = tool({ inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}` });
const loop = await generateText({ model, prompt: "What is the weather in Paris?", maxRetries: 0,
  tools: { weather }, stopWhen: stepCountIs(4) });
console.log(JSON.stringify({ whole: whole.text, streamed, steps: loop.steps.length,
  last: loop.finishReason }));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Return what runs a script with the packages at hand, or skip with the reason."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the packages in time")
    if done.returncode:
        pytest.skip(f"npm could not install the packages: {done.stderr[-300:]}")

    def run(script: str, base_url: str) -> dict:
        (folder / "script.mjs").write_text(script)
        command = ["node", "script.mjs", base_url]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        assert process.returncode == 0, process.stderr[-2000:]
        return json.loads(process.stdout)

    return run


def test_openai_for_node(node, base_url):
    output = node(OPENAI, base_url)
    assert "hello" in output["whole"]
    assert output["streamed"] == output["whole"]
    assert output["last"] == "stop"
    assert output["refused"] == [404, "model_not_found"]


def test_the_ai_sdk(node, base_url):
    output = node(AI, base_url)
    assert "hello" in output["whole"]
    assert output["streamed"] == output["whole"]
    assert (output["steps"], output["last"]) == (2, "stop")
