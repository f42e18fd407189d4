"""Errors of the event loop in the log."""

import asyncio

import structlog

from gateway.process.loop_errors import LoopErrors


async def test_equal_errors_of_the_loop_are_told_once_a_second():
    loop, errors = asyncio.get_running_loop(), LoopErrors()
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            errors(loop, {"message": "no descriptors", "exception": OSError("secret text")})
        errors(loop, {"message": "another"})
    assert [line["message"] for line in lines] == ["no descriptors", "another"]
    assert lines[1]["hidden"] == 999
    assert "secret text" not in str(lines)
