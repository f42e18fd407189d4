"""Deterministic answers that fit the question; no I/O.

`plan` decides what to say as chunks, `events` puts chunks on Gemini's wire, streamed and whole.
"""

from gateway.simulator.answers.events import stream, whole
from gateway.simulator.answers.request import Request

__all__ = ["Request", "stream", "whole"]
