"""One key, one effect, one answer: stored with the effect, given again byte for byte, for 72 hours."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from fastapi import Request, Response
from sqlalchemy import text

from api import idempotency as boundary
from api.dependencies import Services
from models.database import Database, Session
from models.queries import idempotency
from tests.api.callers import Gateway
from tests.api.storms import storm

BODY = {"url": "https://receiver.example/hooks", "event_types": ["order.paid"]}
# What each answer has for itself, replayed or not.
OWN_HEADERS = {"x-request-id", "idempotent-replayed"}


class Crash(BaseException):
    """The process ends here."""


async def endpoint(gateway: Gateway) -> str:
    return str((await gateway.operator.ok("POST", "/v1/webhook-endpoints", BODY))["id"])


async def rotations(gateway: Gateway, endpoint_id: str) -> int:
    """How often the secret was rotated: an effect that no derived id makes one."""
    async with gateway.services.database.transaction() as session:
        found = await session.execute(
            text("SELECT version - 1 FROM webhook_endpoint WHERE id = :id"), {"id": endpoint_id}
        )
    return int(found.scalar_one())


def comparable(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = {name: value for name, value in answer.headers.items() if name not in OWN_HEADERS}
    return answer.status_code, answer.content, headers


async def test_an_answer_comes_again_byte_for_byte_with_status_and_headers(gateway: Gateway) -> None:
    made = await endpoint(gateway)
    taken = (await gateway.item())["slug"]
    item = {"slug": taken, "type": "course", "title": "T", "lms_course_id": "c", "tax_code": "txcd_20060158"}
    writes: list[tuple[str, str, Any, int]] = [
        ("POST", "/v1/webhook-endpoints", BODY, 201),
        ("PATCH", f"/v1/webhook-endpoints/{made}", {"description": "Bücher"}, 200),
        ("POST", f"/v1/webhook-endpoints/{made}/rotate-secret", None, 200),
        ("DELETE", f"/v1/webhook-endpoints/{made}", None, 204),
        ("PATCH", f"/v1/webhook-endpoints/{made}", {"active": True}, 409),
        ("POST", "/v1/catalog/items", item | {"prices": [{"amount": 1, "currency": "USD"}]}, 409),
        ("PUT", "/v1/cart/promo", {"code": "NONE"}, 422),
    ]
    for method, path, body, status in writes:
        key = str(uuid.uuid4())
        first, *again = [await gateway.operator.send(method, path, body, key=key) for _ in range(3)]
        assert first.status_code == status, first.text
        assert "Idempotent-Replayed" not in first.headers
        for answer in again:
            assert comparable(answer) == comparable(first)
            assert answer.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(("hours", "runs"), [(71.9, 1), (72.1, 2)])
async def test_a_key_is_kept_for_72_hours(gateway: Gateway, hours: float, runs: int) -> None:
    made, key = await endpoint(gateway), str(uuid.uuid4())
    path = f"/v1/webhook-endpoints/{made}/rotate-secret"
    first = await gateway.operator.ok("POST", path, key=key)
    async with gateway.services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE idempotency_record SET created_at = now() - :age * interval '1 hour' WHERE key = :k"
            ),
            {"age": hours, "k": key},
        )
    again = await gateway.operator.ok("POST", path, key=key)
    assert (again == first) == (runs == 1)
    assert await rotations(gateway, made) == runs


async def crash_once(gateway: Gateway, endpoint_id: str, key: str) -> None:
    """Rotate the secret, and crash where the answer is stored; then do what a caller does: ask again."""
    path = f"/v1/webhook-endpoints/{endpoint_id}/rotate-secret"
    with pytest.raises(Crash):
        await gateway.operator.send("POST", path, key=key)


async def test_a_crash_between_effect_and_answer_leaves_neither(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, key = await endpoint(gateway), str(uuid.uuid4())

    async def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(boundary.idempotency, "store", crash)
        await crash_once(gateway, made, key)
    assert await rotations(gateway, made) == 0
    path = f"/v1/webhook-endpoints/{made}/rotate-secret"
    answers = [await gateway.operator.ok("POST", path, key=key) for _ in range(2)]
    assert answers[0] == answers[1]
    assert await rotations(gateway, made) == 1


async def test_planted_an_answer_stored_outside_the_transaction_doubles_the_effect(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Effect first, answer in a transaction of its own: a crash in between, and the same key acts twice."""
    made, key = await endpoint(gateway), str(uuid.uuid4())

    async def store_afterwards(session: Session, *_: Any) -> None:
        await session.commit()
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(boundary.idempotency, "store", store_afterwards)
        await crash_once(gateway, made, key)
    assert await rotations(gateway, made) == 1
    await gateway.operator.ok("POST", f"/v1/webhook-endpoints/{made}/rotate-secret", key=key)
    assert await rotations(gateway, made) == 2


async def test_planted_a_key_that_is_looked_up_first_lets_two_callers_through(gateway: Gateway) -> None:
    """Look, then insert: both see nothing. PostgreSQL's unique key is what has the final word."""
    caller, key = "user/planted", str(uuid.uuid4())
    database = gateway.services.database
    both_have_looked = asyncio.Barrier(2)

    async def look_then_act() -> bool:
        async with database.transaction() as session:
            found = await session.execute(
                text("SELECT 1 FROM idempotency_record WHERE caller = :c AND key = :k"),
                {"c": caller, "k": key},
            )
            acts = found.one_or_none() is None
        await both_have_looked.wait()
        return acts

    assert await asyncio.gather(look_then_act(), look_then_act()) == [True, True]
    claims = await asyncio.gather(*(idempotency.claim(database, caller, key, "f") for _ in range(8)))
    assert sorted(claims) == [False] * 7 + [True]


async def test_nobody_runs_between_a_claim_and_the_request_that_made_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two requests would take themselves for the first one."""
    made, key = await endpoint(gateway), str(uuid.uuid4())
    path = f"/v1/webhook-endpoints/{made}/rotate-secret"
    claimed, go_on = asyncio.Event(), asyncio.Event()
    claim = idempotency.claim

    async def slow_claim(database: Database, caller: str, name: str, fingerprint: str) -> bool:
        fresh = await claim(database, caller, name, fingerprint)
        if not claimed.is_set():
            claimed.set()
            await go_on.wait()
        return fresh

    monkeypatch.setattr(boundary.idempotency, "claim", slow_claim)
    first = asyncio.create_task(gateway.operator.send("POST", path, key=key))
    await claimed.wait()
    in_use = (409, "idempotency_key_in_use")
    assert await gateway.operator.refused("POST", path, key=key) == in_use
    go_on.set()
    assert (await first).status_code == 200
    assert await rotations(gateway, made) == 1


async def storm_of_endpoints(gateway: Gateway) -> set[str]:
    """What comes of 4 keys x 12 callers."""

    async def send(body: dict[str, Any], key: str) -> httpx.Response:
        return await gateway.operator.send("POST", "/v1/webhook-endpoints", body, key=key)

    async def count(description: str) -> int:
        statement = text("SELECT count(*) FROM webhook_endpoint WHERE description = :d")
        async with gateway.services.database.transaction() as session:
            return int((await session.execute(statement, {"d": description})).scalar_one())

    return await storm(send, count, keys=4, callers=12)


async def test_planted_writes_that_look_at_no_key_are_named_by_a_storm(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await storm_of_endpoints(gateway) == set()

    async def run_each(
        request: Request, _: Services, session: Session, call: boundary.Handler, *__: Any, **___: Any
    ) -> Response:
        request.state.object_id, request.state.resuming = str(uuid.uuid4()), False
        response = await call(request)
        await session.commit()
        return response

    monkeypatch.setattr(boundary, "_run_once", run_each)
    assert await storm_of_endpoints(gateway) == {
        "a key with several answers",
        "a key without one effect",
        "a key with two bodies",
    }


async def test_a_request_that_takes_too_long_ends_and_its_repeat_goes_on(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, key = await endpoint(gateway), str(uuid.uuid4())
    path = f"/v1/webhook-endpoints/{made}/rotate-secret"
    async with gateway.services.database.transaction() as other:
        await other.execute(text("SELECT FROM webhook_endpoint WHERE id = :id FOR UPDATE"), {"id": made})
        monkeypatch.setattr(boundary, "REQUEST_SECONDS", 0.3)
        late = await gateway.operator.send("POST", path, key=key)
    assert (late.status_code, late.json()["code"]) == (503, "unavailable")
    assert int(late.headers["Retry-After"]) >= 1
    assert await rotations(gateway, made) == 0
    monkeypatch.setattr(boundary, "REQUEST_SECONDS", 30)
    assert (await gateway.operator.send("POST", path, key=key)).status_code == 200
    assert await rotations(gateway, made) == 1
