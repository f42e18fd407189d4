"""What Gemini's models refuse, as its API words it, and what becomes of it."""

from dataclasses import dataclass, field
from typing import Any

# Nothing is known beforehand of what it refuses, and it controls thinking by level.
NEW = "gemini-3.5-flash"
DRAWING = "gemini-3-pro-image"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
JSON = {"response_format": {"type": "json_object"}}
ADJUSTED = "x-gateway-adjusted"
DROPPED = "x-gateway-dropped"
BUDGET = "The thinking budget {} is invalid. Please choose a value between 128 and 8000."
RANGE = (
    "Unable to submit request because it has a {} value of 900 but the supported range is from 1 "
    "(inclusive) to {} (exclusive). Update the value and try again."
)
IMAGE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
}
SEEN = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]}]}


@dataclass
class Refusal:
    """Google's *message* for what a client asks with the fields *asked*; what is *told* of it.

    *gone* is what the first request holds, and none that follows it. *header* tells of it.
    """

    message: str
    asked: dict[str, Any]
    told: str
    gone: str
    header: str = field(default=ADJUSTED)

    @property
    def culprit(self) -> str:
        """Return the field that a strict client is told: the one of its own that says otherwise."""
        name = self.told.partition("=")[0]
        return "google.safety_settings" if name == "safety_settings" else name


def thinking(budget: int | None) -> dict:
    told = {} if budget is None else {"budget_tokens": budget}
    return {"thinking": {"type": "enabled", **told}}


def tool(message: str, native: str, **settings) -> Refusal:
    """Return the refusal of a built-in tool beside a function, which stays."""
    asked = {"model": NEW, "google": {"tools": [{native: settings}]}, "tools": [WEATHER]}
    return Refusal(message, asked, f"tools.{native}", native, DROPPED)


REFUSALS = {
    "penalty": Refusal(
        "Penalty is not enabled for this model",
        {"presence_penalty": 1},
        "presence_penalty=dropped",
        "presencePenalty",
    ),
    "named penalty": Refusal(
        "frequency_penalty: this parameter is not supported by the model",
        {"frequency_penalty": 1},
        "frequency_penalty=dropped",
        "frequencyPenalty",
    ),
    "temperature": Refusal(
        "temperature is not supported for this model.",
        {"temperature": 1},
        "temperature=dropped",
        "temperature",
    ),
    "sampling": Refusal(
        "Sampling parameters are not supported by this model.",
        {"top_k": 5},
        "top_k=dropped",
        "topK",
    ),
    "few of the best": Refusal(RANGE.format("topK", 41), {"top_k": 900}, "top_k=40", "'topK': 900"),
    "probabilities": Refusal(
        "Logprobs is not enabled for this model.",
        {"logprobs": True},
        "logprobs=dropped",
        "responseLogprobs",
    ),
    "few probabilities": Refusal(
        RANGE.format("logprobs", 6),
        {"logprobs": True, "top_logprobs": 20},
        "top_logprobs=5",
        "'logprobs': 20",
    ),
    "tokens": Refusal(
        RANGE.format("maxOutputTokens", 8193),
        {"max_tokens": 9000},
        "max_tokens=8192",
        "9000",
    ),
    "seed": Refusal("seed is not supported for this model", {"seed": 0}, "seed=dropped", "seed"),
    "json": Refusal(
        "JSON mode is not enabled for this model",
        JSON,
        "response_format=emulated",
        "responseMimeType",
    ),
    "type of answer": Refusal(
        "response_mime_type 'application/json' is not supported",
        JSON,
        "response_format=emulated",
        "responseMimeType",
    ),
    "json and functions": Refusal(
        "Function calling with a response mime type: 'application/json' is unsupported",
        {"model": NEW, "tools": [WEATHER], **JSON},
        "response_format=emulated",
        "responseMimeType",
    ),
    "json and forced functions": Refusal(
        "Forced function calling (function_calling_config.mode = ANY) with response mime type "
        "'application/json' is unsupported",
        {"model": NEW, "tools": [WEATHER], **JSON},
        "response_format=emulated",
        "responseMimeType",
    ),
    "json and maps": Refusal(
        "Invalid JSON payload received. Unknown name \"responseFormat\" at 'generation_config': "
        "Cannot find field.",
        {"model": NEW, "tools": [{"type": "google_maps"}], **JSON},
        "response_format=emulated",
        "responseFormat",
    ),
    "thinking level minimal": Refusal(
        "Thinking level MINIMAL is not supported for this model. Please retry with other "
        "thinking level.",
        {"model": NEW, "reasoning_effort": "minimal"},
        "thinking=LOW",
        "MINIMAL",
    ),
    "thinking level": Refusal(
        "Thinking level is not supported for this model.",
        {"model": NEW, "reasoning_effort": "high"},
        "thinking=automatic",
        "thinkingLevel",
    ),
    "thinking level minimal by its name": Refusal(
        "Thinking level is unsupported: THINKING_LEVEL_MINIMAL",
        {"model": NEW, "reasoning_effort": "minimal"},
        "thinking=LOW",
        "MINIMAL",
    ),
    "thinking level minimal beside the others": Refusal(
        "'minimal' is not a supported thinking level for this model. Allowed values are: low.",
        {"model": NEW, "reasoning_effort": "minimal"},
        "thinking=LOW",
        "MINIMAL",
    ),
    "thinking level beside the others": Refusal(
        "'medium' is not a supported thinking level for this model. Allowed values are: low.",
        {"model": NEW, "reasoning_effort": "medium"},
        "thinking=automatic",
        "thinkingLevel",
    ),
    "thinking budget": Refusal(
        "Thinking budget is not supported for this model.",
        {"reasoning_effort": "high"},
        "thinking=automatic",
        "thinkingBudget",
    ),
    "no thinking": Refusal(
        "Budget 0 is invalid. This model only works in thinking mode.",
        {"reasoning_effort": "none"},
        "thinking=512",
        "'thinkingBudget': 0",
    ),
    "thinking": Refusal(
        "Thinking is not enabled for models/gemini-3.5-flash",
        {"model": NEW, "reasoning_effort": "high"},
        "thinking=dropped",
        "thinkingConfig",
    ),
    "settings of thinking": Refusal(
        "Invalid JSON payload received. Unknown name \"thinkingConfig\" at 'generation_config': "
        "Cannot find field.",
        {"model": NEW, "reasoning_effort": "high"},
        "thinking=dropped",
        "thinkingConfig",
    ),
    "large budget": Refusal(BUDGET.format(9000), thinking(9000), "thinking=8000", "9000"),
    "small budget": Refusal(BUDGET.format(9), thinking(9), "thinking=128", "'thinkingBudget': 9"),
    "budget of nothing": Refusal(
        BUDGET.format(0), {"reasoning_effort": "none"}, "thinking=128", "'thinkingBudget': 0"
    ),
    "automatic budget": Refusal(BUDGET.format(-1), thinking(None), "thinking=8000", "-1"),
    "functions": Refusal(
        "Function calling is not enabled for models/gemini-3.5-flash",
        {"model": NEW, "tools": [WEATHER]},
        "tools=dropped",
        "tools",
    ),
    "functions and search": tool("Tool use with function calling is unsupported", "googleSearch"),
    "functions and code": tool(
        "Built-in tools ({code_execution}) and Function Calling cannot be combined in the same "
        "request.",
        "codeExecution",
    ),
    "several tools": tool(
        "Multiple tools are supported only when they are all search tools.", "urlContext"
    ),
    "search": tool("Search Grounding is not supported.", "googleSearch"),
    "search by its other name": tool(
        "Search as tool is not enabled for this model", "googleSearch"
    ),
    "code": tool("Code execution is not enabled for this model", "codeExecution"),
    "pages": tool("Browse tool is not supported.", "urlContext"),
    "maps": tool("Google Maps tool is not enabled for this model", "googleMaps"),
    "files": tool(
        "File search tool is not supported for this model",
        "fileSearch",
        fileSearchStoreNames=["fileSearchStores/1"],
    ),
    "computer": tool(
        "Computer Use is not supported for this model",
        "computerUse",
        environment="ENVIRONMENT_BROWSER",
    ),
    "built-in tools": tool("Tool use is not supported for this model", "urlContext"),
    "instruction": Refusal(
        "Developer instruction is not enabled for models/gemini-2.5-flash",
        {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "hi"}]},
        "system=user",
        "systemInstruction",
    ),
    "size of images": Refusal(
        "image_size 2K is not supported for this model",
        {"model": DRAWING, "google": {"image_config": {"image_size": "2K"}}},
        "image_config.image_size=dropped",
        "imageSize",
    ),
    "safety": Refusal(
        "Invalid value at 'safety_settings[0].threshold' (type.googleapis.com/google.ai."
        'generativelanguage.v1beta.SafetySetting.HarmBlockThreshold), "OFF"',
        {},
        "safety_settings=BLOCK_NONE",
        "OFF",
    ),
    "resolution of one image": Refusal(
        'Invalid JSON payload received. Unknown name "mediaResolution" at '
        "'contents[0].parts[1]': Cannot find field.",
        {"model": NEW, **SEEN},
        "detail=dropped",
        "mediaResolution",
    ),
    "resolution": Refusal(
        "Media resolution is not enabled for this model",
        {"google": {"media_resolution": "MEDIA_RESOLUTION_LOW"}},
        "media_resolution=dropped",
        "mediaResolution",
    ),
    "tier": Refusal(
        "Service tier flex is not available for this model",
        {"service_tier": "flex"},
        "service_tier=dropped",
        "serviceTier",
    ),
}
