"""`Idempotency-Key` on every write, and the one transaction of a request.

A request holds a lock on its key for its whole length: a second caller is told `idempotency_key_in_use`;
a crash of this process ends its connection, and with it the lock. The key, its fingerprint and the id of the
new object are committed before anything starts. The answer is stored in the transaction of the effect; a
first request that came to nothing takes its claim back.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.audit import Write, log_answer
from api.dependencies import Access, Services, authenticate, recognize, services_of
from api.etags import add_digest, is_current, not_modified
from api.problems import problem_response, status_of
from api.rate_limits import forgive, limits_of, take_attempt
from domain.errors import CommerceError, InvalidInput, Unavailable
from domain.ids import email_caller
from domain.limits import ANY
from models.database import Session
from models.queries import idempotency

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

# Every step has its own time-out; together they end here, before a front end or a proxy gives up.
REQUEST_SECONDS = 30.0
_MAX_KEY_LENGTH = 255
# Stripe, LMS and payout system send as fast as things happen; what they did not sign is not even stored.
_INBOUND = "/v1/webhooks/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_UNFINGERPRINTED = frozenset({"password"})
_STORED_REFUSALS = frozenset({409, 422})
# By these a route refuses; whatever else ends a request leaves open how far it came.
_COME_TO_NOTHING = (CommerceError, RequestValidationError, HTTPException)
# Of a replayed answer its own: made for each response.
_OWN_HEADERS = frozenset({"content-length", "x-request-id"})
_QUOTED = re.compile(r'^"((?:[^"\\]|\\["\\])*)"$')


def without_key(endpoint: F) -> F:
    """Mark a write that takes no key: login, refresh, logout, inbound webhooks, reads by POST."""
    endpoint.__dict__["takes_key"] = False
    return endpoint


def rerun_on_replay(endpoint: F) -> F:
    """Mark a write whose answer holds fresh secrets (register): a replay runs it again."""
    endpoint.__dict__["rerun_on_replay"] = True
    return endpoint


def read_key(request: Request) -> str:
    """The caller's key; a quoted structured-field string and a bare one are the same key."""
    raw = request.headers.get("idempotency-key", "").strip()
    quoted = _QUOTED.match(raw)
    key = re.sub(r"\\(.)", r"\1", quoted.group(1)) if quoted else raw
    if not key or len(key) > _MAX_KEY_LENGTH or not key.isprintable():
        raise CommerceError(
            f"send an Idempotency-Key of 1 to {_MAX_KEY_LENGTH} printable characters with every write",
            code="idempotency_key_required",
        )
    return key


class CommerceRoute(APIRoute):
    """Gives each request one session; runs writes under their idempotency key."""

    @property
    def takes_key(self) -> bool:
        """Whether this is a write that needs an `Idempotency-Key`."""
        marked = getattr(self.endpoint, "__dict__", {}).get("takes_key", True)
        return bool(marked) and not set(self.methods or ()) <= _SAFE_METHODS

    @property
    def access(self) -> Access | None:
        """Who may use it; None: anybody."""
        found = [need.call for need in self.dependant.dependencies if isinstance(need.call, Access)]
        return found[0] if found else None

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler."""
        original = super().get_route_handler()
        takes_key = self.takes_key
        own_limits = limits_of(self.endpoint)
        general = () if self.path.startswith(_INBOUND) else ANY
        reruns = getattr(self.endpoint, "__dict__", {}).get("rerun_on_replay", False)

        async def tagged(request: Request) -> Response:
            return add_digest(await original(request))

        async def handle(request: Request) -> Response:
            try:
                async with asyncio.timeout(REQUEST_SECONDS) as deadline:
                    return await serve(request)
            except TimeoutError as error:
                if not deadline.expired():
                    raise
                # The session is closed with the rest: the key is free, and a repeat goes on.
                raise Unavailable(f"not done within {REQUEST_SECONDS:g} seconds") from error

        async def serve(request: Request) -> Response:
            services = services_of(request)
            await recognize(request)
            await take_attempt(request, services, general, own_limits, anybody=self.access is None)
            async with services.database.session() as session:
                request.state.session = session
                if takes_key:
                    response = await _run_once(request, services, session, tagged, self, reruns=reruns)
                else:
                    response = await tagged(request)
                    await session.commit()
            await forgive(request, services, own_limits, response)
            etag = response.headers.get("etag")
            if request.method == "GET" and etag is not None and is_current(request, etag):
                return not_modified(response)
            return response

        return handle


async def _run_once(
    request: Request,
    services: Services,
    session: Session,
    call: Handler,
    route: CommerceRoute,
    *,
    reruns: bool,
) -> Response:
    body = await request.body()
    caller = _caller(request, body, registers=reruns)
    key = read_key(request)
    prints = services.sealer.fingerprints(_fingerprinted(request, body))
    await idempotency.hold(session, caller, key)
    fresh = await idempotency.claim(services.commands, caller, key, prints[0])
    record = await idempotency.read(session, caller, key)
    if record.fingerprint not in prints:
        raise InvalidInput(
            "this key was used with another method, path or body", code="idempotency_key_reused"
        )
    replayed = record.status_code is not None
    if record.status_code is not None and not (reruns and record.status_code < 300):
        return _replay(services, record, caller, key)
    request.state.object_id = record.object_id
    request.state.resuming = not fresh
    request.state.write = Write(route.operation_id or route.name, route.access, route.status_code, body)
    request.state.effect_possible = False
    try:
        response = await _call_in_savepoint(request, session, call)
    except _COME_TO_NOTHING as refusal:
        if fresh and _status_of(refusal) < 500 and not request.state.effect_possible:
            await idempotency.release(session, caller, key)
            await session.commit()
        raise
    if response.status_code < 300 or response.status_code in _STORED_REFUSALS:
        if not replayed:
            # What holds fresh secrets is made again, not kept.
            kept = b"" if reruns and response.status_code < 300 else _seal(services, response, caller, key)
            await idempotency.store(session, caller, key, response.status_code, kept)
            await log_answer(request, session, response)
        await session.commit()
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


async def _call_in_savepoint(request: Request, session: Session, call: Handler) -> Response:
    """Undo the effect of a refused request without letting go of the key."""
    savepoint = await session.begin_nested()
    try:
        response = await call(request)
        await session.flush()
    except _COME_TO_NOTHING as refusal:
        await savepoint.rollback()
        if isinstance(refusal, CommerceError) and _is_decided(refusal):
            return problem_response(request, refusal)
        raise
    if savepoint.is_active:
        await savepoint.commit()
    return response


def _is_decided(refusal: CommerceError) -> bool:
    """Refused by a rule of ours, or for what exists. What the LMS finds wrong in a field can be corrected."""
    status = status_of(refusal)
    return status == 409 or (status == 422 and isinstance(refusal, InvalidInput))


def _status_of(refusal: Exception) -> int:
    if isinstance(refusal, CommerceError):
        return status_of(refusal)
    return refusal.status_code if isinstance(refusal, HTTPException) else 422


def _caller(request: Request, body: bytes, *, registers: bool) -> str:
    if not registers:
        return authenticate(request).caller
    try:
        email = str(json.loads(body)["email"])
    except (ValueError, KeyError, TypeError, RecursionError):
        email = ""
    return email_caller(email)


def _fingerprinted(request: Request, body: bytes) -> bytes:
    try:
        parsed = json.loads(body) if body else None
    except (ValueError, RecursionError):
        parsed = body.decode(errors="replace")
    if isinstance(parsed, dict):
        parsed = {name: value for name, value in parsed.items() if name not in _UNFINGERPRINTED}
    canonical = json.dumps(parsed, sort_keys=True, separators=(",", ":"))
    return f"{request.method} {request.url.path}?{request.url.query}\n{canonical}".encode()


def _context(caller: str, key: str) -> str:
    return f"idempotency/{caller}/{key}"


def _seal(services: Services, response: Response, caller: str, key: str) -> bytes:
    headers = {name: value for name, value in response.headers.items() if name not in _OWN_HEADERS}
    stored = json.dumps({"headers": headers, "body": bytes(response.body).decode()})
    return services.sealer.seal(stored.encode(), _context(caller, key))


def _replay(services: Services, record: idempotency.Record, caller: str, key: str) -> Response:
    if record.response_sealed is None or record.status_code is None:
        raise CommerceError("the stored answer is missing")
    stored = json.loads(services.sealer.open(record.response_sealed, _context(caller, key)))
    return Response(
        stored["body"].encode(),
        record.status_code,
        {**stored["headers"], "Idempotent-Replayed": "true"},
    )
