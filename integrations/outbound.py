"""Outbound webhooks: signed, bounded, and never to an address inside our own network.

The guard against forged targets (SSRF) sits where the connection is made: a name is resolved, every
address it has is checked, and the connection goes to the very address that was checked. A name that
changes its mind between check and use gains nothing, and TLS still verifies the name.
"""

import asyncio
import email.utils
import ipaddress
import math
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import httpcore
import httpx
from standardwebhooks import Webhook

from domain.errors import InvalidInput
from integrations.http import tls_context
from integrations.name_lookups import NameLookups

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Until the headers of an answer are there; reading a little of its body comes on top.
TOTAL_TIMEOUT_SECONDS = 15.0
_CONNECT_TIMEOUT_SECONDS = 5.0
_EXCERPT_TIMEOUT_SECONDS = 2.0
_EXCERPT_BYTES = 4096
_RETRY_AFTER_AT_MOST_SECONDS = 24 * 3600.0
_HEADERS_KEPT = 30
_HEADER_CHARACTERS = 200
_NO_ANSWER = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and metadata services of some clouds
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, behind an address that looks public
        "169.254.0.0/16",  # link-local, and most metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments; Teredo hides an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4 hides an IPv4 address
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class UnsafeTarget(InvalidInput):
    """A webhook URL that we will not call."""

    code = "unsafe_url"


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What one attempt came to: a status code, or an error when there was no answer."""

    status_code: int | None
    error: str | None
    retry_after_seconds: float | None
    response_excerpt: str
    duration_ms: int
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: 2xx, and nothing else."""
        return self.status_code is not None and 200 <= self.status_code < 300


def is_public(address: Address) -> bool:
    """Whether an address lies on the public internet, and nowhere else in disguise."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


def check_target(url: str, *, allow_private: bool = False) -> httpx.URL:
    """The parsed URL, when its text allows it; names are checked later, at each connection."""
    try:
        target = httpx.URL(url)
        # Decoding an internationalized name can fail, too.
        host, port = target.host, target.port
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise UnsafeTarget("the URL can't be read") from error
    allowed = ("https", "http") if allow_private else ("https",)
    if port is not None and not 0 < port < 65536:
        raise UnsafeTarget("the URL's port is out of range")
    if target.scheme not in allowed or not host:
        raise UnsafeTarget(f"the URL must be absolute and begin with {' or '.join(allowed)}://")
    if target.userinfo:
        raise UnsafeTarget("the URL must not hold a user name or password")
    if not allow_private:
        _require_public_text(host)
    return target


def _require_public_text(host: str) -> None:
    """Tell at once what can be told without asking a name server."""
    if f".{host}".rstrip(".").endswith(".localhost"):
        raise UnsafeTarget(f"{host} is this machine, not a public address")
    with suppress(ValueError):
        _require_public(ipaddress.ip_address(host))
    with suppress(OSError, UnicodeError):
        # Decimal, octal, hexadecimal and short forms: 2130706433, 0177.0.0.1, 0x7f.1.
        _require_public(ipaddress.IPv4Address(socket.inet_aton(host)))


def _require_public(address: Address) -> None:
    if not is_public(address):
        raise UnsafeTarget(f"{address} is not a public address")


def _require_all_public(host: str, addresses: Iterable[Address]) -> None:
    """One bad address is enough: a name that mixes both is up to something. Which address it was is not said:
    who may see the log of deliveries is not to read the names of our own network in it."""
    if not all(is_public(address) for address in addresses):
        raise UnsafeTarget(f"{host} is not a public address")


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that it has checked itself."""

    def __init__(self, resolver: Resolver, *, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = [ipaddress.ip_address(found) for found in await self._resolver(host, port)]
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} can't be resolved") from error
        except ValueError as error:
            raise UnsafeTarget(f"{host} resolves to something that is no address") from error
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        if not self._allow_private:
            _require_all_public(host, addresses)
        return [str(address) for address in addresses]


class OutboundHttp:
    """Sends webhooks. No redirects, no proxies, no reuse of connections between receivers."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout_seconds: float = TOTAL_TIMEOUT_SECONDS,
    ) -> None:
        """`allow_private` (never in production) lifts the guard and permits plain http."""
        self._allow_private = allow_private
        self._timeout_seconds = timeout_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or tls_context(trust_env=False),
            max_connections=None,  # the caller bounds them: in a queue here one receiver would delay others
            max_keepalive_connections=0,
            network_backend=_GuardedBackend(resolver or NameLookups(), allow_private=allow_private),
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._pool.aclose()

    async def deliver(
        self, url: str, webhook_id: str, body: bytes, secrets: Sequence[str], timestamp: datetime
    ) -> DeliveryResult:
        """Make one attempt, signed with each secret. Trouble is a result, never an exception."""
        started = time.monotonic()
        error: str | None = None
        headers: list[tuple[bytes, bytes]] = []
        answer = _Answer(None, None, "", {})
        try:
            target = check_target(url, allow_private=self._allow_private)
            headers = _headers(target, webhook_id, body, secrets, timestamp)
            answer = await self._post(target, headers, body)
        except TimeoutError:
            error = f"no answer within {self._timeout_seconds:g} s"
        except InvalidInput as problem:
            error = f"{problem.code}: {problem.detail}"
        except (*_NO_ANSWER, OSError, ValueError) as problem:
            error = f"{type(problem).__name__}: {problem}".removesuffix(": ")[:500]
        if answer.status is not None and 300 <= answer.status < 400:
            error = f"answered {answer.status}; redirects are not followed"
        duration_ms = round((time.monotonic() - started) * 1000)
        return DeliveryResult(
            answer.status,
            error,
            answer.retry_after_seconds,
            answer.excerpt,
            duration_ms,
            _readable(headers),
            answer.headers,
        )

    async def _post(self, target: httpx.URL, headers: list[tuple[bytes, bytes]], body: bytes) -> "_Answer":
        address = httpcore.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        request = self._pool.stream(
            "POST",
            address,
            headers=headers,
            content=body,
            extensions={"timeout": {"connect": _CONNECT_TIMEOUT_SECONDS}},
        )
        async with AsyncExitStack() as connection:
            async with asyncio.timeout(self._timeout_seconds):
                response = await connection.enter_async_context(request)
            # The status has decided: however its body goes on, the answer stands.
            wishes = [value for name, value in response.headers if name.lower() == b"retry-after"]
            retry_after = parse_retry_after(wishes[0].decode("latin-1")) if wishes else None
            return _Answer(
                response.status, retry_after, await _excerpt(response), _readable(response.headers)
            )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, as far as it is kept; no status when nothing did."""

    status: int | None
    retry_after_seconds: float | None
    excerpt: str
    headers: dict[str, str]


def _readable(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers for the log: the first ones, cut. PostgreSQL stores no NUL."""
    return {
        name.decode("latin-1").lower()[:_HEADER_CHARACTERS]: value.decode("latin-1").replace("\0", "")[
            :_HEADER_CHARACTERS
        ]
        for name, value in headers[:_HEADERS_KEPT]
    }


async def _excerpt(response: httpcore.Response) -> str:
    """The beginning of the answer's body, without waiting long."""
    taken = b""
    with suppress(TimeoutError, *_NO_ANSWER):
        chunks = cast(AsyncGenerator[bytes, None], response.aiter_stream())
        async with asyncio.timeout(_EXCERPT_TIMEOUT_SECONDS), aclosing(chunks):
            async for chunk in chunks:
                taken += chunk
                if len(taken) >= _EXCERPT_BYTES:
                    break
    # PostgreSQL stores no NUL in a text.
    return taken[:_EXCERPT_BYTES].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _headers(
    target: httpx.URL, webhook_id: str, body: bytes, secrets: Sequence[str], timestamp: datetime
) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", target.netloc),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", str(len(body)).encode()),
        (b"User-Agent", b"commerce-webhooks/1"),
        (b"Connection", b"close"),
        (b"webhook-id", webhook_id.encode()),
        (b"webhook-timestamp", str(int(timestamp.timestamp())).encode()),
        (b"webhook-signature", sign(webhook_id, body, secrets, timestamp).encode()),
    ]


def sign(webhook_id: str, body: bytes, secrets: Sequence[str], timestamp: datetime) -> str:
    """The `webhook-signature` header: one signature for each secret, the first secret's first."""
    if timestamp.tzinfo is None:
        raise InvalidInput("the timestamp of a webhook needs a time zone")
    if not secrets:
        raise InvalidInput("the endpoint has no signing secret")
    # The library signs the wall-clock fields as if they were UTC, whatever the time zone says.
    moment = timestamp.astimezone(UTC)
    try:
        return " ".join(Webhook(secret).sign(webhook_id, moment, body.decode()) for secret in secrets)
    except Exception as error:  # noqa: BLE001 - the library raises several; none may name the secret
        raise InvalidInput(f"the webhook can't be signed ({type(error).__name__})") from None


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds to wait by a `Retry-After` header (a number or an HTTP date); None when it says nothing.

    What the other side wishes is capped at a day, so that it can't park us for ever.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), _RETRY_AFTER_AT_MOST_SECONDS)
