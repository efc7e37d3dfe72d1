"""A name server that lies, and services inside that nobody outside may reach: real names, real sockets.

What is public leads to a receiver of the test's; every other address is dialled for real. The services
inside count who connects to them.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpcore
import pytest

from integrations import outbound
from integrations.outbound import DeliveryResult, OutboundHttp, is_public
from tests.integrations.conftest import EVENT_SECRET
from tests.integrations.name_server import NameResolver, serving
from tests.integrations.test_address_guard import PRIVATE_ADDRESSES, PUBLIC_ADDRESSES, UNSAFE_URLS

PUBLIC, INSIDE = "93.184.216.34", "127.0.0.1"
_RealBackend = httpcore.AnyIOBackend


@dataclass
class Service:
    """Takes connections, counts them, and answers nothing."""

    port: int = 0
    connections: int = 0

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count it, and hang up."""
        self.connections += 1
        writer.close()


@dataclass
class World:
    """A service inside and a receiver outside, on one port as far as callers see."""

    inside: Service
    outside: Service
    dialled: list[str] = field(default_factory=list)

    async def connect_tcp(self, host: str, port: int, *rest: Any) -> httpcore.AsyncNetworkStream:
        """The network: notes what is dialled; what is public leads to the receiver outside."""
        self.dialled.append(host)
        if is_public(ipaddress.ip_address(host)):
            return await _RealBackend().connect_tcp(INSIDE, self.outside.port, 5)
        return await _RealBackend().connect_tcp(host, self.inside.port, 2)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with AsyncExitStack() as cleanup:
        services = [Service(), Service()]
        for service in services:
            server = await asyncio.start_server(service.serve, INSIDE, 0)
            await cleanup.enter_async_context(server)
            service.port = server.sockets[0].getsockname()[1]
        found = World(*services)
        monkeypatch.setattr(outbound.httpcore, "AnyIOBackend", lambda: found)
        yield found


def alternating(_: str, asked: int) -> Sequence[str]:
    """Public when it is checked, inside when it is used."""
    return [PUBLIC] if asked % 2 == 0 else [INSIDE]


async def attempt(http: OutboundHttp, url: str) -> DeliveryResult:
    return await http.deliver(url, "evt_1", b"{}", [EVENT_SECRET], datetime.now(UTC))


async def test_a_name_that_changes_between_look_ups_never_leads_inside(world: World) -> None:
    async with serving(alternating) as (server, resolver):
        http = OutboundHttp(resolver=resolver)
        results = [await attempt(http, "https://rebinding.example/hook") for _ in range(10)]
        await http.aclose()
    # One look-up an attempt: what was checked is what was dialled.
    assert server.asked["rebinding.example"] == 10
    assert world.dialled == [PUBLIC] * 5
    assert (world.inside.connections, world.outside.connections) == (0, 5)
    refusal = "unsafe_url: rebinding.example is not a public address"
    assert [result.error == refusal for result in results] == [False, True] * 5


async def test_no_name_leads_to_a_private_address(world: World) -> None:
    """Each private address alone, and hidden among public ones, by IPv4 and IPv6."""
    zone: dict[str, list[str]] = {}
    for number, address in enumerate(PRIVATE_ADDRESSES):
        plain = address.partition("%")[0]
        zone[f"only{number}.example"] = [plain]
        zone[f"first{number}.example"] = [plain, PUBLIC_ADDRESSES[0], PUBLIC_ADDRESSES[-2]]
        zone[f"last{number}.example"] = [PUBLIC_ADDRESSES[0], PUBLIC_ADDRESSES[-2], plain]
    assert len(zone) == 3 * len(PRIVATE_ADDRESSES) >= 3 * 50
    async with serving(lambda name, _: zone[name]) as (server, resolver):
        http = OutboundHttp(resolver=resolver)
        for name in zone:
            result = await attempt(http, f"https://{name}/")
            # Not which: a log of deliveries is no map of our own network.
            assert result.error == f"unsafe_url: {name} is not a public address"
        await http.aclose()
    assert set(server.asked) == set(zone)
    assert world.dialled == []
    assert world.inside.connections == 0


class CheckedOnce(httpcore.AsyncNetworkBackend):
    """The planted bug: names were checked before, so the connection resolves again and asks no more."""

    def __init__(self, resolver: NameResolver) -> None:
        self._resolver = resolver

    async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> Any:
        """Connect to whatever the name means now."""
        return await outbound.httpcore.AnyIOBackend().connect_tcp((await self._resolver(host, port))[0], port)


async def test_planted_checking_before_connecting_is_led_inside(world: World) -> None:
    async with serving(alternating) as (_, resolver):
        http = OutboundHttp(resolver=resolver)
        http._pool._network_backend = CheckedOnce(resolver)  # type: ignore[attr-defined]
        assert all(is_public(ipaddress.ip_address(one)) for one in await resolver("rebinding.example", 443))
        await attempt(http, "https://rebinding.example/hook")
        await http.aclose()
    assert world.dialled == [INSIDE]
    assert world.inside.connections == 1


async def test_planted_no_check_at_connect_time_is_led_inside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "_require_public", lambda address: None)
    monkeypatch.setattr(outbound, "_require_all_public", lambda host, addresses: None)
    async with serving(lambda name, asked: [INSIDE]) as (_, resolver):
        http = OutboundHttp(resolver=resolver)
        for url in ("https://inside.example/", "https://2130706433/", "https://127.0.0.1/"):
            await attempt(http, url)
        await http.aclose()
    assert world.inside.connections == 3
    assert not any(is_public(ipaddress.ip_address(one)) for one in world.dialled)


async def test_the_systems_own_readings_of_an_address_are_checked_too(world: World) -> None:
    """Decimal, octal, hexadecimal, short: by the resolver that production has."""
    http = OutboundHttp()
    for url in UNSAFE_URLS[-80:]:
        assert not (await attempt(http, url)).delivered, url
    await http.aclose()
    assert world.dialled == []
    assert world.inside.connections == 0
