"""Settings of an upstream call, and changed copies of calls: none is changed in place."""

import re
from dataclasses import replace
from typing import Any

from gateway.exchange import Json, UpstreamCall

_CAPITAL = re.compile("[A-Z]")


def with_model(call: UpstreamCall, model: str) -> UpstreamCall:
    """Return *call* for another *model*; the entries of a batch name it once more each."""
    if "requests" not in call.body:
        return replace(call, model=model)
    texts = [{**text, "model": f"models/{model}"} for text in call.body["requests"]]
    return replace(call, model=model, body={**call.body, "requests": texts})


def with_config(call: UpstreamCall, config: Json) -> UpstreamCall:
    """Return *call* with another generation *config*, or with none if it is empty."""
    body = {**call.body, "generationConfig": config}
    if not config:
        del body["generationConfig"]
    return replace(call, body=body)


def config_of(call: UpstreamCall) -> Json:
    """Return the generation config of *call*, which must not be changed in place."""
    config: Json = call.body.get("generationConfig") or {}
    return config


def setting(call: UpstreamCall, name: str) -> Any:
    """Return the setting *name* of the generation config; verbatim calls have either spelling."""
    config = call.body.get("generationConfig")
    if not call.verbatim:
        return config.get(name) if config else None
    config = config or call.body.get("generation_config") or {}
    return config.get(name) or config.get(snake(name))


def snake(name: str) -> str:
    """Return the snake_case spelling of *name*, which Google's JSON accepts as well."""
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", name)
