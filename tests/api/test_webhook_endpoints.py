"""Receivers of our events: their secrets, their changes, their log."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from activities.deliveries import endpoint_secrets
from models.queries import webhook_endpoints
from tests.api.callers import Caller, Gateway

URL = "https://receiver.example/hooks"


async def made(caller: Caller, **changes: Any) -> Any:
    body = {"url": URL, "event_types": ["order.paid"], "description": "books"} | changes
    return await caller.ok("POST", "/v1/webhook-endpoints", body)


async def stored_secrets(gateway: Gateway, endpoint_id: str, at: datetime | None = None) -> tuple[str, ...]:
    """What a delivery would be signed with."""
    async with gateway.services.database.transaction() as session:
        row = await webhook_endpoints.get(session, endpoint_id)
    assert row is not None
    now = at or datetime.now(UTC)
    return tuple(endpoint_secrets(gateway.services.sealer, row.id, row.secret_sealed, now))


async def test_the_secret_is_shown_once_and_kept_sealed(gateway: Gateway) -> None:
    key = str(uuid.uuid4())
    body = {"url": URL, "event_types": ["order.paid"], "description": "books"}
    first = await gateway.operator.send("POST", "/v1/webhook-endpoints", body, key=key)
    again = await gateway.operator.send("POST", "/v1/webhook-endpoints", body, key=key)
    assert first.status_code == 201
    assert first.content == again.content
    endpoint = first.json()
    secret = endpoint.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    assert await gateway.operator.ok("GET", path) == endpoint
    assert (await gateway.operator.ok("GET", "/v1/webhook-endpoints", limit=1))["data"] == [endpoint]
    assert await stored_secrets(gateway, endpoint["id"]) == (secret,)
    async with gateway.services.database.transaction() as session:
        for table, column in (
            ("webhook_endpoint", "secret_sealed"), ("idempotency_record", "response_sealed")
        ):  # fmt: skip
            found = await session.execute(text(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"))
            assert all(secret.encode() not in bytes(sealed) for (sealed,) in found)


async def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(gateway: Gateway) -> None:
    endpoint = await made(gateway.operator)
    path = f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret"
    second = (await gateway.operator.ok("POST", path))["secret"]
    third = (await gateway.operator.ok("POST", path))["secret"]
    first = endpoint["secret"]
    now = datetime.now(UTC)
    assert await stored_secrets(gateway, endpoint["id"]) == (third, second, first)
    assert await stored_secrets(gateway, endpoint["id"], now + timedelta(hours=23)) == (third, second, first)
    assert await stored_secrets(gateway, endpoint["id"], now + timedelta(hours=25)) == (third,)


async def test_secrets_do_not_pile_up(gateway: Gateway) -> None:
    endpoint = await made(gateway.operator)
    path = f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret"
    issued = [(await gateway.operator.ok("POST", path))["secret"] for _ in range(8)]
    assert await stored_secrets(gateway, endpoint["id"]) == tuple(issued[::-1][:6])


async def test_an_expired_secret_is_forgotten_at_the_next_rotation(gateway: Gateway) -> None:
    endpoint = await made(gateway.operator)
    long_ago = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    entries = [{"secret": endpoint["secret"], "expires_at": None}, {"secret": "x", "expires_at": long_ago}]
    context = f"webhook-endpoint/{endpoint['id']}"
    async with gateway.services.database.transaction() as session:
        await session.execute(
            text("UPDATE webhook_endpoint SET secret_sealed = :sealed WHERE id = :id"),
            {
                "sealed": gateway.services.sealer.seal(json.dumps(entries).encode(), context),
                "id": endpoint["id"],
            },
        )
    await gateway.operator.ok("POST", f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret")
    async with gateway.services.database.transaction() as session:
        row = await webhook_endpoints.get(session, endpoint["id"])
    assert row is not None
    kept = json.loads(gateway.services.sealer.open(row.secret_sealed, context))
    assert [entry["secret"] for entry in kept][1:] == [endpoint["secret"]]


async def test_an_endpoint_changes_unless_it_changed_before(gateway: Gateway) -> None:
    endpoint = await made(gateway.operator)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    tag = (await gateway.operator.send("GET", path)).headers["ETag"]
    change = {"url": "https://other.example/", "event_types": [], "active": False, "description": ""}
    answer = await gateway.operator.send("PATCH", path, change, headers={"If-Match": tag})
    assert answer.json() == answer.json() | change
    read = await gateway.operator.send("GET", path)
    assert (read.json(), read.headers["ETag"]) == (answer.json(), answer.headers["ETag"])
    stale = await gateway.operator.refused("PATCH", path, {"active": True}, headers={"If-Match": tag})
    assert stale == (412, "precondition_failed")
    revived = await gateway.operator.ok("PATCH", path, {"active": True})
    assert (revived["active"], revived["disabled_reason"]) == (True, None)
    # Where a replay of what was not queued meanwhile begins.
    assert (revived["disabled_at"], revived["last_disabled_at"]) == (None, answer.json()["disabled_at"])


async def test_a_deleted_endpoint_is_off_and_its_log_stays(gateway: Gateway) -> None:
    endpoint = await made(gateway.operator)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    answer = await gateway.operator.send("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    after = await gateway.operator.ok("GET", path)
    assert (after["active"], after["disabled_reason"]) == (False, "deleted")
    assert await gateway.operator.ok("GET", f"{path}/deliveries") == {"data": [], "next_cursor": None}


async def test_the_log_shows_what_was_sent_newest_first(gateway: Gateway) -> None:
    endpoint = await made(gateway.operator)
    async with gateway.services.database.transaction() as session:
        for number in (1, 2, 3):
            event_id = (
                await session.execute(
                    text(
                        "INSERT INTO outbound_event (event_key, type, stream, stream_seq, data) "
                        "VALUES (:key, 'order.paid', :stream, :seq, '{}') RETURNING id"
                    ),
                    {"key": f"{endpoint['id']}/{number}", "stream": endpoint["id"], "seq": number},
                )
            ).scalar_one()
            await session.execute(
                text(
                    "INSERT INTO webhook_delivery (endpoint_id, event_id, status, attempts, "
                    "last_status_code) VALUES (:endpoint, :event, 'failed', :attempts, 500)"
                ),
                {"endpoint": endpoint["id"], "event": event_id, "attempts": number},
            )
    path = f"/v1/webhook-endpoints/{endpoint['id']}/deliveries"
    page = await gateway.operator.ok("GET", path, limit=2)
    assert [delivery["stream_seq"] for delivery in page["data"]] == [3, 2]
    assert (page["data"][0]["attempts"], page["data"][0]["last_status_code"]) == (3, 500)
    rest = await gateway.operator.ok("GET", path, limit=2, cursor=page["next_cursor"])
    assert [delivery["stream_seq"] for delivery in rest["data"]] == [1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "ftp://receiver.example/"}, "invalid_request"),
        ({"url": "https://user:secret@receiver.example/"}, "unsafe_url"),
        ({"url": "https://"}, "invalid_request"),
        ({"url": "https://a\x00b"}, "invalid_request"),
        ({"url": "https://receiver.example:99999/"}, "unsafe_url"),
        ({"event_types": ["order.payed"]}, "invalid_request"),
        ({"event_types": ["order.paid", "order.*"]}, "invalid_request"),
        ({"secret": "whsec_mine"}, "invalid_request"),
        ({"description": "d" * 501}, "invalid_request"),
    ],
)
async def test_an_endpoint_out_of_form_is_refused(
    gateway: Gateway, change: dict[str, Any], code: str
) -> None:
    body = {"url": URL, "event_types": [], "description": ""} | change
    assert await gateway.operator.refused("POST", "/v1/webhook-endpoints", body) == (422, code)
    path = f"/v1/webhook-endpoints/{(await made(gateway.operator))['id']}"
    assert await gateway.operator.refused("PATCH", path, change) == (422, code)


async def test_operators_and_services_keep_endpoints(gateway: Gateway) -> None:
    service = await gateway.machine("webhooks:read", "webhooks:write")
    endpoint = await made(service)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    for role in ("learner", "instructor"):
        caller = await gateway.person(role)
        for method, target, body in (
            ("GET", "/v1/webhook-endpoints", None),
            ("GET", path, None),
            ("PATCH", path, {}),
            ("DELETE", path, None),
            ("POST", f"{path}/rotate-secret", None),
            ("GET", f"{path}/deliveries", None),
            ("POST", "/v1/webhook-endpoints", {"url": URL}),
        ):
            assert await caller.refused(method, target, body) == (403, "forbidden")
    for unknown in (str(uuid.uuid4()), "nothing"):
        missing = f"/v1/webhook-endpoints/{unknown}"
        assert await service.refused("GET", missing) == (404, "not_found")
        assert await service.refused("PATCH", missing, {}) == (404, "not_found")
        assert await service.refused("DELETE", missing) == (404, "not_found")
        assert await service.refused("POST", f"{missing}/rotate-secret") == (404, "not_found")
        assert await service.refused("GET", f"{missing}/deliveries") == (404, "not_found")
