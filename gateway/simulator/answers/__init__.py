"""Deterministic answers that fit the question; no I/O.

`plan` decides what to say as chunks, `events` puts chunks on Gemini's wire, streamed and whole.
"""

from gateway.simulator.answers.ask import Ask
from gateway.simulator.answers.events import stream, whole

__all__ = ["Ask", "stream", "whole"]
