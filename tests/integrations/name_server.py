"""A small name server on loopback, whose answers may change from one question to the next."""

import asyncio
import ipaddress
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

_A, _AAAA = 1, 28

# The addresses of a name, given how often it has been asked for: 0 the first time.
Zone = Callable[[str, int], Sequence[str]]


def _question(message: bytes) -> tuple[str, int, bytes]:
    """Name, type and the whole question of a query."""
    labels, place = [], 12
    while message[place]:
        labels.append(message[place + 1 : place + 1 + message[place]].decode())
        place += 1 + message[place]
    (kind,) = struct.unpack("!H", message[place + 1 : place + 3])
    return ".".join(labels), kind, message[12 : place + 5]


class NameServer(asyncio.DatagramProtocol):
    """Answers A and AAAA with a time to live of 0. Each look-up of a name (both types) counts once."""

    def __init__(self, zone: Zone) -> None:
        self.asked: Counter[str] = Counter()
        self._zone = zone
        self._current: dict[str, Sequence[str]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a query."""
        name, kind, question = _question(data)
        if kind == _A:
            self._current[name] = self._zone(name, self.asked[name])
            self.asked[name] += 1
        found = [ipaddress.ip_address(one) for one in self._current.get(name, ())]
        packed = [one.packed for one in found if one.version == (4 if kind == _A else 6)]
        answers = b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(address)) + address for address in packed
        )
        header = data[:2] + struct.pack("!HHHHH", 0x8580, 1, len(packed), 0, 0)
        self._transport.sendto(header + question + answers, addr)


class _Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answer.set_result(data)


class NameResolver:
    """Asks the name server, as the system's resolver would: a question for each type of address."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server

    async def __call__(self, host: str, port: int) -> list[str]:
        """All addresses of a name, now."""
        return [*await self._ask(host, _A), *await self._ask(host, _AAAA)]

    async def _ask(self, host: str, kind: int) -> list[str]:
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.rstrip(".").split("."))
        query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(_Client, remote_addr=self._server)
        try:
            transport.sendto(query)
            answer = await asyncio.wait_for(client.answer, 5)
        finally:
            transport.close()
        (count,) = struct.unpack("!H", answer[6:8])
        size = 4 if kind == _A else 16
        records = answer[len(query) :]
        return [
            str(ipaddress.ip_address(records[at + 12 : at + 12 + size]))
            for at in range(0, count * (12 + size), 12 + size)
        ]


@asynccontextmanager
async def serving(zone: Zone) -> AsyncIterator[tuple[NameServer, NameResolver]]:
    """A name server for this zone, and a resolver that asks it."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(zone), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server, NameResolver(transport.get_extra_info("sockname"))
    finally:
        transport.close()
