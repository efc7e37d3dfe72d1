"""A request that waits for its turn: whether the turn is told of an answer, and how long sending may take."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from integrations.http import make_http_client


class Turns:
    """What became of each turn."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append("answered, or not sent")


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[str]:
    """Answers so, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            writer.close()
        else:
            await reader.read()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("status", [b"200 OK", b"503 Service Unavailable"])
async def test_an_answer_ends_the_turn(status: bytes) -> None:
    turns = Turns()
    answer = b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n"
    async with server(answer) as url, make_http_client(turns) as http:
        await http.request("GET", url)
    assert turns.ended == ["answered, or not sent"]


async def test_no_answer_ends_it_with_an_error() -> None:
    turns = Turns()
    async with server(None) as url, make_http_client(turns) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.request("GET", url, timeout=0.2)
    assert turns.ended == ["ReadTimeout"]


async def test_what_was_not_sent_ends_it_without_one() -> None:
    turns = Turns()
    async with server(None) as url:
        pass
    async with make_http_client(turns) as http:
        with pytest.raises(httpx.ConnectError):
            await http.request("GET", url, timeout=5)
    assert turns.ended == ["answered, or not sent"]


async def test_sending_takes_seconds_or_is_given_up() -> None:
    """However long its caller would wait: the turn may be somebody else's by then."""
    async with make_http_client(Turns()) as http:
        request = http.build_request("GET", "http://127.0.0.1:9", timeout=40)
        with pytest.raises(httpx.HTTPError):
            await http.send(request)
    assert request.extensions["timeout"] == {"connect": 2.5, "read": 40, "write": 40, "pool": 2.5}
