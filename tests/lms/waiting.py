"""Waiting for something to come true, with a limit."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], what: str, within_seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    end = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < end, f"not within {within_seconds} s: {what}"
        await asyncio.sleep(0.01)
