"""Workflows that look at a person again and again: when what stands in the way has gone, and once more
when every access token of before has expired."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow


async def until_next_look(
    woken: Callable[[], bool],
    *,
    waits_for: list[str],
    pause: timedelta,
    last_look_at: float,
    last_look: str,
) -> None:
    """Wait for a wake-up or the next look: after `pause` while something is waited for, else at
    `last_look_at`, in seconds since the epoch. `last_look` says in the Temporal UI what that one is for."""
    why = f"Waits: {'; '.join(waits_for)}"[:200] if waits_for else last_look
    if not waits_for:
        pause = timedelta(seconds=max(1.0, last_look_at - workflow.time()))
    with contextlib.suppress(TimeoutError):
        await workflow.wait_condition(woken, timeout=pause, timeout_summary=why)
