"""Recorded replies, where the shared material is at hand."""

import json
import os
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[4]
SHARED = Path(os.environ.get("GATEWAY_RECORDINGS") or ROOT / "../shared/gemini")


@cache
def replies():
    """Return (id, events) of every recorded answer of status 200 to a generate call."""
    found = []
    for path in sorted((SHARED / "recordings").glob("*.json")):
        recording = json.loads(path.read_bytes())
        if recording["status"] == 200 and "generate" in recording["tags"]:
            found.append((recording["id"], _events(recording)))
    return found


def _events(recording):
    if "response_sse" in recording:
        return recording["response_sse"]
    whole = recording["response_json"]
    return whole if isinstance(whole, list) else [whole]
