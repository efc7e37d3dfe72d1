"""Slows down who tries too often: 429 with `Retry-After`, counted in PostgreSQL by all gateways together."""

import hashlib
import ipaddress
import json
import logging
import math
import random
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from fastapi import Request, Response

from api.dependencies import Principal, Services, authenticate
from domain.errors import CommerceError, RateLimited
from domain.limits import DECLINES, UNPAID, By, Limit
from models.database import Session
from models.queries import inbox, orders, rate_limits

log = logging.getLogger("gateway")
F = TypeVar("F", bound=Callable[..., Any])

_SWEEP_ONE_IN = 200


def limited(limits: Sequence[Limit]) -> Callable[[F], F]:
    """Mark an endpoint with limits of its own. Operators and machines are not held to them, but where anybody
    may call: there it does not matter who does."""

    def mark(endpoint: F) -> F:
        endpoint.__dict__["limits"] = tuple(limits)
        return endpoint

    return mark


def limits_of(endpoint: Callable[..., Any]) -> tuple[Limit, ...]:
    """The endpoint's own limits."""
    found: tuple[Limit, ...] = getattr(endpoint, "__dict__", {}).get("limits", ())
    return found


async def take_attempt(
    request: Request, services: Services, limits: Sequence[Limit], own: Sequence[Limit], *, anybody: bool
) -> None:
    """Count the request under each limit; RateLimited when one is reached. `own`: the endpoint's, which
    `anybody` may call."""
    if services.rate_limit_factor == 0:
        return
    principal = _principal(request)
    if anybody or principal is None or not principal.sees_all:
        limits = (*limits, *own)
    if random.randrange(_SWEEP_ONE_IN) == 0:
        async with services.commands.transaction() as session:
            await rate_limits.sweep(session)
    # In one order for all, so that no two requests wait for each other's counts.
    counted = sorted([(await _key(request, principal, limit), limit) for limit in limits], key=itemgetter(0))
    async with services.commands.transaction() as session:
        for key, limit in counted:
            times = limit.times * services.rate_limit_factor
            wait = await rate_limits.take(session, key, times=times, seconds=limit.seconds)
            if wait is not None:
                log.warning("rate limit %s reached", limit.name)
                raise RateLimited("too many attempts", math.ceil(wait))


async def forgive(request: Request, services: Services, own: Sequence[Limit], response: Response) -> None:
    """Take back what was counted of an attempt that went well, where only failures count."""
    forgiven = [limit for limit in own if limit.forgiven]
    if not forgiven or response.status_code >= 300 or services.rate_limit_factor == 0:
        return
    principal = _principal(request)
    async with services.commands.transaction() as session:
        for limit in forgiven:
            key = await _key(request, principal, limit)
            times = limit.times * services.rate_limit_factor
            await rate_limits.give_back(session, key, times=times, seconds=limit.seconds)


async def refuse_who_does_not_pay(services: Services, session: Session, caller: Principal) -> None:
    """RateLimited for somebody whose payments were declined often within the last hour (cards are tested), or
    whose orders ended unpaid often within the last day (seats and promotions are held from others)."""
    for limit, look, what in (
        (DECLINES, inbox.seconds_since_decline, "too many declined payments"),
        (UNPAID, orders.seconds_since_unpaid, "too many orders that were not paid"),
    ):
        nth_last = math.ceil(limit.times * services.rate_limit_factor)
        if nth_last == 0 or caller.sees_all:
            return
        seconds = await look(session, caller.user_id, nth_last)
        if seconds is not None and seconds < limit.seconds:
            log.warning("rate limit %s reached", limit.name)
            raise RateLimited(what, math.ceil(limit.seconds - seconds))


def _principal(request: Request) -> Principal | None:
    try:
        return authenticate(request)
    except CommerceError:
        return None


async def _key(request: Request, principal: Principal | None, limit: Limit) -> str:
    if limit.by is By.ACCOUNT:
        return f"{limit.name}/{await _account(request)}"
    if limit.by is By.USER and principal is not None:
        return f"{limit.name}/{principal.caller}"
    return f"{limit.name}/address/{_address(request)}"


async def _account(request: Request) -> str:
    """A digest of the user name, or of the email that is registered: counts hold no personal data."""
    try:
        asked = json.loads(await request.body())
        name = str(asked["username"] if "username" in asked else asked["email"])
    except (ValueError, KeyError, TypeError, RecursionError):
        name = ""
    return hashlib.sha256(name.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


def _address(request: Request) -> str:
    """Where the request came from; the server has put the proxy's word for it in place."""
    host = "" if request.client is None else request.client.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
