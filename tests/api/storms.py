"""Many callers at once under each of many keys, and what must not come of it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

Send = Callable[[dict[str, Any], str], Awaitable[httpx.Response]]
Count = Callable[[str], Awaitable[int]]

IN_USE = (409, "idempotency_key_in_use")
REUSED = (422, "idempotency_key_reused")
_AT_ONCE = 64


def status_and_code(answer: httpx.Response) -> tuple[int, str]:
    """The code of a problem; of a good answer there is none."""
    return answer.status_code, "" if answer.status_code < 400 else str(answer.json()["code"])


async def storm(send: Send, count: Count, *, keys: int, callers: int) -> set[str]:
    """What was wrong in a storm of new webhook endpoints: nothing but the idempotency key makes one of many.

    `send` posts a body under a key; `count` counts the endpoints of a description.
    """
    run, gate = uuid.uuid4().hex[:8], asyncio.Semaphore(_AT_ONCE)

    async def ask(number: int, about: str) -> httpx.Response:
        body = {"url": "https://receiver.example/storm", "event_types": ["payee.written_off"]}
        async with gate:
            return await send(body | {"description": f"{about} {run} {number}"}, f"storm-{run}-{number}")

    answers = await asyncio.gather(*(ask(n % keys, "storm") for n in range(keys * callers)))
    others = await asyncio.gather(*(ask(n, "another body") for n in range(keys)))
    found = set()
    for number in range(keys):
        same = answers[number::keys]
        found |= {f"an answer: {status_and_code(a)}" for a in same if a.status_code != 201} - {
            f"an answer: {IN_USE}"
        }
        good = {answer.content for answer in same if answer.status_code == 201}
        if len(good) != 1:
            found.add("a key without an answer" if not good else "a key with several answers")
        if await count(f"storm {run} {number}") != 1:
            found.add("a key without one effect")
        if status_and_code(others[number]) != REUSED or await count(f"another body {run} {number}"):
            found.add("a key with two bodies")
    return found
