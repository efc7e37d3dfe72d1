"""A door of the gateway that stands open is caught: each guard is taken away once; its probe names the loss.

The other guards have theirs beside what they guard: ownership (`tests/e2e/test_access.py`), the check of
addresses at connect time (`tests/integrations/test_rebinding.py`), the transaction of a key and its effect
(`tests/api/test_idempotency.py`).
"""

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Request

from api.dependencies import Access, Principal, authenticate
from api.openapi import product_routes
from api.tokens import TokenIssuer, parse_signing_keys
from devstack.credentials import Credentials
from domain.errors import Unauthenticated
from domain.limits import PROMOTION
from integrations import webhook_verification
from tests.api.callers import Caller, Gateway
from tests.api.test_api_keys import READS
from tests.api.test_forged_events import SOURCES, event
from tests.api.test_rate_limits import MakeHttp, make_http
from tests.api.test_token_attacks import ATTACKS, Forger
from tests.e2e.test_access import ANY_PERSON, for_any_person, operations

__all__ = ["make_http"]

Probe = Callable[[Gateway, MakeHttp], Awaitable[set[str]]]
Plant = Callable[[pytest.MonkeyPatch], None]


async def events_from_afar(gateway: Gateway, make: MakeHttp) -> set[str]:
    """Signed, but for another time."""
    found = set()
    for name, sign in SOURCES.items():
        for at in (-305, 305):
            body = event()
            answer = await gateway.http.post(f"/v1/webhooks/{name}", content=body, headers=sign(body, at=at))
            if answer.status_code == 200:
                found.add(f"{name} {at}")
    return found


def only_the_past_counts(patch: pytest.MonkeyPatch) -> None:
    """As Stripe's own library has it."""

    def require_recent(stamp: str, now: int) -> None:
        if not re.fullmatch(r"\d+", stamp) or now - int(stamp) > webhook_verification.TOLERANCE_SECONDS:
            raise webhook_verification.BadSignature("the timestamp is too old")

    patch.setattr(webhook_verification, "_require_recent", require_recent)


async def guesses_beyond_the_limit(gateway: Gateway, make: MakeHttp) -> set[str]:
    """Promotion codes that somebody may try after the last one."""
    learner = Caller(await make(), (await gateway.person()).token)
    for _ in range(PROMOTION[0].times):
        await learner.refused("PUT", "/v1/cart/promo", {"code": "GUESS"})
    again = await learner.send("PUT", "/v1/cart/promo", {"code": "GUESS"})
    return set() if again.status_code == 429 else {f"a guess more: {again.status_code}"}


def nothing_is_counted(patch: pytest.MonkeyPatch) -> None:
    async def take(*_: Any, **__: Any) -> None:
        return None

    patch.setattr("api.rate_limits.rate_limits.take", take)


async def answers_of_others(gateway: Gateway, make: MakeHttp) -> set[str]:
    """What somebody is answered who knows another's key and request."""
    victim, thief = await gateway.person("operator"), await gateway.person("operator")
    endpoint = {"url": "https://receiver.example/hooks", "event_types": ["order.paid"]}
    key = str(uuid.uuid4())
    secret = (await victim.ok("POST", "/v1/webhook-endpoints", endpoint, key=key))["secret"]
    stolen = await thief.send("POST", "/v1/webhook-endpoints", endpoint, key=key)
    return {"the secret of the victim's endpoint"} if secret in stolen.text else set()


def a_key_is_everybodys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("api.idempotency._caller", lambda *_, **__: "user/anybody")


async def routes_beyond_the_scope(gateway: Gateway, make: MakeHttp) -> set[str]:
    """What a key opens that is for the ledger alone."""
    machine = await gateway.machine("ledger:read")
    found = set()
    for path, scope in READS.items():
        answer = await machine.send("GET", path)
        if scope != "ledger:read" and answer.status_code != 403:
            found.add(path)
    return found


def any_key_will_do(patch: pytest.MonkeyPatch) -> None:
    original = Access.__call__

    def unscoped(self: Access, request: Request) -> Principal:
        principal = authenticate(request)
        return principal if principal.is_machine and self.scope else original(self, request)

    patch.setattr(Access, "__call__", unscoped)


LISTS = {
    *("list_refunds", "list_disputes", "list_erasures", "list_run_changes", "list_tasks"),
    *("find_users", "get_lms_maintenance"),
}


async def operations_without_a_role(gateway: Gateway, make: MakeHttp) -> set[str]:
    """What the document of a gateway leaves to any person, and should not."""
    document = (await (await make()).get("/openapi.json")).json()
    return for_any_person(operations(document)) - ANY_PERSON


def signed_in_will_do(patch: pytest.MonkeyPatch) -> None:
    """Operator became SignedIn, on routes that name no object: no other caller's object is there to miss."""
    for route in product_routes():
        if route.operation_id in LISTS:
            (need,) = [one for one in route.dependant.dependencies if isinstance(one.call, Access)]
            patch.setattr(need, "call", Access())


DOORS: dict[str, tuple[Plant, Probe, set[str]]] = {
    "the future is not looked at": (
        only_the_past_counts,
        events_from_afar,
        {"stripe 305", "lms 305", "payout 305"},
    ),
    "attempts are not counted": (nothing_is_counted, guesses_beyond_the_limit, {"a guess more: 422"}),
    "stored answers have no owner": (
        a_key_is_everybodys,
        answers_of_others,
        {"the secret of the victim's endpoint"},
    ),
    "roles are not looked at": (signed_in_will_do, operations_without_a_role, LISTS),
    "scopes are not looked at": (
        any_key_will_do,
        routes_beyond_the_scope,
        {path for path, scope in READS.items() if scope != "ledger:read"},
    ),
}


@pytest.mark.parametrize("door", DOORS)
async def test_planted_an_open_door_is_caught(
    gateway: Gateway, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    plant, probe, gets_in = DOORS[door]
    assert await probe(gateway, make_http) == set()
    plant(monkeypatch)
    assert await probe(gateway, make_http) == gets_in


def let_in(issuer: TokenIssuer, forger: Forger) -> set[str]:
    """The attacks that a verifier falls for."""
    found = set()
    for name, attack in ATTACKS.items():
        try:
            issuer.verify(attack(forger))
        except Unauthenticated:
            continue
        found.add(name)
    return found


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_planted_an_open_list_of_algorithms_is_caught(
    gateway: Gateway, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two locks: only our algorithm, and keys of a type that no other algorithm takes. Each holds alone."""
    keys = parse_signing_keys(credentials.jwt_signing_keys)
    forger = Forger(gateway, keys, await gateway.person("operator"))
    issuer = gateway.services.tokens
    assert let_in(issuer, forger) == set()
    with monkeypatch.context() as patched:
        patched.setattr("api.tokens.ALGORITHMS", tuple(jwt.algorithms.get_default_algorithms()))
        assert let_in(issuer, forger) == set()
    raw = {key.kid: key.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in keys}
    monkeypatch.setattr(issuer, "_public", raw)
    assert let_in(issuer, forger) == set()
    monkeypatch.setattr("api.tokens.ALGORITHMS", tuple(jwt.algorithms.get_default_algorithms()))
    assert let_in(issuer, forger) == {"hmac with the public key"}
