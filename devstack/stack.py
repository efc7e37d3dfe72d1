"""Runs the embedded stack in the foreground: `commerce dev`, and the frame of `commerce demo`."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable

from devstack.environment import StackUrls
from devstack.errors import StackError
from devstack.logs import LogSink
from devstack.reload import reload_on_change
from devstack.settings import External, StackSettings
from devstack.supervisor import Progress, Stack

__all__ = [
    "External",
    "Progress",
    "Stack",
    "StackError",
    "StackSettings",
    "StackUrls",
    "main",
    "run_dev",
    "serve",
]

_PARENT_POLL_SECONDS = 0.3
_PARENT = os.getppid()


async def serve(
    settings: StackSettings,
    *,
    log: LogSink,
    story: Callable[[Stack], Awaitable[None]] | None = None,
    keep_serving: bool = True,
    reload: bool = False,
    on_progress: Progress | None = None,
    parts: frozenset[str] | None = None,
) -> int:
    """Run the stack until a signal, the death of the parent or a failure; returns the exit code.

    With `story`, that runs once the stack is up; without `keep_serving`, its end is the end.
    """
    stack = Stack(settings, parts=parts, log=log)
    body = asyncio.create_task(_body(stack, story, keep_serving, reload, on_progress))
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked.set)
    waiting = [body, asyncio.create_task(asked.wait()), asyncio.create_task(_parent_dies())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not body.done():
        log.note("stopping")
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    # Only now, and to its end: a second Ctrl-C must not leave half of the parts behind.
    await stack.stop()
    if body.cancelled():
        return 0
    if isinstance(error := body.exception(), StackError):
        print(f"\ncommerce: {error}", file=sys.stderr)
        return 1
    if error is not None:
        raise error
    return 0


async def _body(
    stack: Stack,
    story: Callable[[Stack], Awaitable[None]] | None,
    keep_serving: bool,
    reload: bool,
    on_progress: Progress | None,
) -> None:
    began = time.monotonic()
    await stack.start(on_progress)
    stack.log.note(f"ready in {time.monotonic() - began:.1f} s")
    reloader = asyncio.create_task(reload_on_change(stack)) if reload else None
    stopped = asyncio.create_task(stack.run_until_stopped())
    try:
        if story is not None:
            telling = asyncio.ensure_future(story(stack))
            try:
                await asyncio.wait([telling, stopped], return_when=asyncio.FIRST_COMPLETED)
                if stopped.done():
                    stopped.result()
                await telling
            finally:
                telling.cancel()
        if keep_serving or story is None:
            await stopped
    finally:
        stopped.cancel()
        if reloader is not None:
            reloader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reloader


async def _parent_dies() -> None:
    # Polled, because the kernel's death signal would already come when only a thread of the parent ends.
    while os.getppid() == _PARENT:  # noqa: ASYNC110 - nobody could set an event
        await asyncio.sleep(_PARENT_POLL_SECONDS)


def _print_progress(log: LogSink) -> Progress:
    def progress(part: str, seconds: float) -> None:
        log.note(f"{part} ready after {seconds:.1f} s")

    return progress


def _links(urls: StackUrls) -> list[str]:
    rows = {
        "gateway": urls.gateway,
        "API docs": f"{urls.gateway}/docs",
        "Temporal UI": urls.temporal_ui,
        "Stripe": urls.stripe,
        "LMS": urls.lms,
        "payouts": urls.payout,
    }
    return [f"{name:<12} {address}" for name, address in rows.items()]


async def run_dev(*, reload: bool = False) -> int:
    """The stack without a story, until Ctrl-C; returns the exit code."""
    log = LogSink.to_terminal()

    async def say_where(stack: Stack) -> None:
        for line in _links(stack.urls):
            log.note(line)
        log.note("Ctrl-C stops everything; the data stays")

    try:
        settings = StackSettings.from_environment()
    except StackError as error:
        print(f"commerce: {error}", file=sys.stderr)
        return 1
    return await serve(settings, log=log, story=say_where, reload=reload, on_progress=_print_progress(log))


def main() -> None:
    """Run from the command line: `python -m devstack.stack [--reload]`."""
    sys.exit(asyncio.run(run_dev(reload="--reload" in sys.argv[1:])))


if __name__ == "__main__":
    main()
