"""Recorded requests that the real Gemini API accepted, where the shared material is at hand."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.discovery import SHARED

_HOST = "generativelanguage.googleapis.com"


@dataclass(frozen=True)
class Request:
    id: str
    model: str
    action: str
    body: Any


@cache
def requests():
    """Return all recorded requests to the Gemini API that were answered with 200."""
    found = []
    for path in sorted((SHARED / "recordings").glob("*.json")):
        recording = json.loads(path.read_bytes())
        accepted = recording["status"] == 200 and "response_only" not in recording["tags"]
        _, _, called = recording["url_path"].rpartition("models/")
        model, _, action = called.partition(":")
        if accepted and action and recording["host"] == _HOST and recording["request_json"]:
            found.append(Request(recording["id"], model, action, recording["request_json"]))
    return found
