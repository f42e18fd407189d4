"""The settings of an upstream call, and changed copies of one; none is changed in place."""

import re
from dataclasses import replace
from typing import Any

from gateway.exchange import Json, UpstreamCall

_CAPITAL = re.compile("[A-Z]")


def with_model(call: UpstreamCall, model: str) -> UpstreamCall:
    """Give *call* for another *model*, which each text of a batch names once more."""
    if "requests" not in call.body:
        return replace(call, model=model)
    texts = [{**text, "model": f"models/{model}"} for text in call.body["requests"]]
    return replace(call, model=model, body={**call.body, "requests": texts})


def with_config(call: UpstreamCall, config: Json) -> UpstreamCall:
    """Give *call* with another *config* for the generation, or with none if it is empty."""
    body = {**call.body, "generationConfig": config}
    if not config:
        del body["generationConfig"]
    return replace(call, body=body)


def config_of(call: UpstreamCall) -> Json:
    """Give the generation's settings of *call*, not to be changed in place."""
    config: Json = call.body.get("generationConfig") or {}
    return config


def setting(call: UpstreamCall, name: str) -> Any:
    """Give the generation's setting *name* of *call*; verbatim ones may be in either spelling."""
    config = call.body.get("generationConfig")
    if not call.verbatim:
        return config.get(name) if config else None
    config = config or call.body.get("generation_config") or {}
    return config.get(name) or config.get(snake(name))


def snake(name: str) -> str:
    """Give the other spelling of *name* that Google's JSON takes."""
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", name)
