"""Addresses of receivers by the system's resolver, whose calls can't be ended: each holds a thread until a
name server has answered or was given up."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

# Threads are made when they are needed. More than receivers that are called at once: a look-up outlives
# the request that asked for it.
_THREADS = ThreadPoolExecutor(max_workers=512, thread_name_prefix="webhook-names")

Found = list[tuple[Any, ...]]


class NameLookups:
    """Looks each name up once at a time: a silent name server holds one thread, however many ask."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Future[Found]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """All addresses of a name; OSError or UnicodeError when it has none."""
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            # An address in any spelling (127.1 and 0x7f000001, too) needs no name server, and no thread.
            found = look(flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            found = await self._ask(host, look)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _ask(self, host: str, look: "partial[Any]") -> Found:
        answer = self._under_way.get(host)
        if answer is None:
            answer = asyncio.get_running_loop().run_in_executor(_THREADS, look)
            self._under_way[host] = answer
            answer.add_done_callback(partial(self._done, host))
        return await asyncio.shield(answer)  # whoever asks may go; the thread can't

    def _done(self, host: str, answer: asyncio.Future[Found]) -> None:
        del self._under_way[host]
        if not answer.cancelled():
            answer.exception()  # perhaps nobody waits for it any more
