"""Every action of an operator is logged with its effect: who, what, why, under which request."""

import asyncio
import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from cli import app
from domain.errors import Conflict
from tests.api.callers import Caller, Gateway
from tests.api.test_idempotency import Crash
from tests.api.test_reservations import order_of


async def entries(gateway: Gateway, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gateway.operator.ok("GET", "/v1/audit", **wanted))["data"]
    return found


async def test_a_change_is_logged_once_with_who_what_and_request(gateway: Gateway) -> None:
    item = await gateway.item()
    key, path = str(uuid.uuid4()), f"/v1/catalog/items/{item['id']}"
    change, headers = {"title": "Another title"}, {"X-Request-Id": f"audit-{key}"}
    for _ in range(2):
        await gateway.operator.ok("PATCH", path, change, key=key, headers=headers)
    changed, made = await entries(gateway, object_id=item["id"])
    assert changed.pop("id") > made["id"]
    assert changed.pop("at") > made["at"]
    assert changed == {
        "actor_kind": "operator",
        "actor_id": gateway.operator.user_id,
        "action": "change_item",
        "objects": [item["id"]],
        "status_code": 200,
        "code": None,
        "reason": None,
        "request": change,
        "request_id": f"audit-{key}",
    }
    assert (made["action"], made["status_code"], made["objects"]) == ("create_item", 201, [item["id"]])


async def test_a_refusal_by_a_rule_is_logged_with_its_reason_and_the_effect_is_not(gateway: Gateway) -> None:
    order = str(uuid.uuid4())
    item = await gateway.item()
    taken = {"slug": item["slug"], "type": "course", "title": "T", "lms_course_id": "c", "prices": []}
    body = taken | {"prices": item["prices"], "tax_code": "txcd_20060158"}
    await gateway.operator.refused("POST", "/v1/catalog/items", body)
    entry = (await entries(gateway, action="create_item"))[0]
    assert (entry["status_code"], entry["code"], entry["objects"]) == (409, "slug_taken", [])
    # What never came to a decision is no action: an unknown object, a missing right, a bad form.
    await gateway.operator.refused("POST", f"/v1/orders/{order}/refunds", {"reason": "goodwill"})
    await gateway.operator.refused("PATCH", f"/v1/catalog/items/{item['id']}", {"nonsense": 1})
    assert await entries(gateway, object_id=order) == []
    assert [e["action"] for e in await entries(gateway, object_id=item["id"])] == ["create_item"]


async def test_the_why_is_kept(gateway: Gateway) -> None:
    month = datetime.now(UTC).strftime("%Y-%m")
    close = {"kind": "soft", "reason": "the auditor asked"}
    refusal = await gateway.operator.refused("POST", f"/v1/ledger/periods/{month}/close", close)
    assert refusal == (409, "period_not_over")
    (entry,) = await entries(gateway, object_id=month)
    assert (entry["code"], entry["reason"]) == ("period_not_over", "the auditor asked")


WRITE_OFF = {"payee_ref": "lms:102", "amount": {"amount": 5, "currency": "USD"}, "reason": "agreed by phone"}


async def test_what_goes_on_without_an_answer_is_logged_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no Temporal here: whether the workflow began is not known, and the command was recorded."""
    key = str(uuid.uuid4())
    write = ("POST", "/v1/earnings/write-offs", WRITE_OFF)
    for _ in range(2):
        assert (await gateway.operator.send(*write, key=key)).status_code == 503
    (entry,) = await entries(gateway, action="write_off_payee")
    assert (entry["status_code"], entry["code"], entry["reason"]) == (None, None, "agreed by phone")
    assert entry["request"] == WRITE_OFF

    async def refused(*_: Any) -> None:
        raise Conflict("more than is owed", code="write_off_exceeds_debt")

    monkeypatch.setattr("api.routes.corrections.ask_correction", refused)
    assert (await gateway.operator.send(*write, key=key)).status_code == 409
    (completed,) = await entries(gateway, action="write_off_payee")
    assert completed == entry | {"status_code": 409, "code": "write_off_exceeds_debt"}


async def order_to_cancel(gateway: Gateway) -> str:
    person = await gateway.person()
    async with gateway.services.database.transaction() as session:
        return await order_of(session, person.user_id)


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        ("cancel_order", "api.routes.orders.ask_cancel"),
        ("create_refund", "api.routes.refunds.ask_refund"),
        ("create_adjustment", "api.routes.adjustments.ask_refund"),
    ],
)
async def test_what_is_logged_is_there_when_a_workflow_is_asked(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, action: str, asked: str
) -> None:
    """This gateway is killed while it waits."""
    order_id = await order_to_cancel(gateway)
    paths: dict[str, tuple[str, Any]] = {
        "cancel_order": ("cancel", None),
        "create_refund": ("refunds", {"reason": "a friend"}),
        "create_adjustment": (
            "adjustments",
            {"amount": {"amount": 5, "currency": "USD"}, "kind": "goodwill", "reason": "a friend"},
        ),
    }

    async def killed(*_: Any) -> None:
        raise Crash

    monkeypatch.setattr(asked, killed)
    path, body = paths[action]
    headers = {} if body else {"X-Audit-Reason": "a friend"}
    with pytest.raises(Crash):
        await gateway.operator.send("POST", f"/v1/orders/{order_id}/{path}", body, headers=headers)
    (entry,) = await entries(gateway, object_id=order_id)
    assert (entry["action"], entry["status_code"], entry["reason"]) == (action, None, "a friend")


async def test_what_was_not_decided_is_not_logged(gateway: Gateway) -> None:
    body = {"url": "https://a.example/", "event_types": ["order.paid"], "more": "than there is"}
    assert (await gateway.operator.send("POST", "/v1/webhook-endpoints", body)).status_code == 422
    assert await entries(gateway, action="create_webhook_endpoint") == []
    promotion = await gateway.promotion()
    (entry,) = await entries(gateway, object_id=promotion["id"])
    assert entry["request"]["code"].upper() == promotion["code"]


async def test_machines_are_logged_and_learners_are_not(gateway: Gateway) -> None:
    machine = await gateway.machine("promotions:write")
    body = {"code": f"A-{uuid.uuid4().hex[:8]}", "kind": "percent", "percent_bp": 500}
    made = await machine.ok("POST", "/v1/promotions", body)
    (entry,) = await entries(gateway, actor_id=machine.user_id)
    assert (entry["actor_kind"], entry["objects"]) == ("machine", [made["id"]])
    learner = await gateway.person()
    item = await gateway.item()
    await learner.add(item["slug"])
    assert await entries(gateway, actor_id=learner.user_id) == []


@pytest.mark.parametrize("said", ["asked on the telephone", "gewünscht – am Telefon"])
async def test_a_header_says_why_where_the_body_does_not(gateway: Gateway, said: str) -> None:
    item = await gateway.item()
    headers = {"X-Audit-Reason": said.encode()}
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{item['id']}", {"title": "A"}, headers=headers)
    entry, _ = await entries(gateway, object_id=item["id"])
    assert entry["reason"] == said
    person = await gateway.person()
    path = f"/v1/users/{person.user_id}/roles/instructor"
    await gateway.operator.ok("PUT", path, {"reason": "of the body"}, headers=headers)
    (entry,) = await entries(gateway, object_id=person.user_id)
    assert entry["reason"] == "of the body"


async def test_what_takes_something_away_needs_a_reason(gateway: Gateway) -> None:
    person = await gateway.person()
    nowhere = uuid.uuid4()
    writes = [
        ("DELETE", f"/v1/users/{person.user_id}/roles/instructor"),
        ("POST", f"/v1/refunds/{nowhere}/cancel"),
        ("POST", f"/v1/disputes/{nowhere}/accept"),
    ]
    for method, path in writes:
        for headers in ({}, {"X-Audit-Reason": ""}, {"X-Audit-Reason": "  "}, {"X-Audit-Reason": "x" * 501}):
            answer = await gateway.operator.send(method, path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
            assert answer.json()["errors"][0]["pointer"] == "/header/X-Audit-Reason"
        assert await person.refused(method, path) == (403, "forbidden")
    answers = [
        (await gateway.operator.send(*write, headers={"X-Audit-Reason": "left us"})).status_code
        for write in writes
    ]
    assert answers == [200, 404, 404]
    (entry,) = await entries(gateway, object_id=person.user_id)
    assert (entry["action"], entry["reason"]) == ("take_role", "left us")


async def test_secrets_and_private_bodies_are_not_kept(gateway: Gateway) -> None:
    endpoint = await gateway.operator.ok("POST", "/v1/webhook-endpoints", {"url": "https://a.example/"})
    rotated = await gateway.operator.ok("POST", f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret")
    item = await gateway.item()
    await gateway.operator.add(item["slug"])
    shown = json.dumps(await entries(gateway, limit=100))
    assert endpoint["secret"] not in shown
    assert rotated["secret"] not in shown
    (entry,) = await entries(gateway, action="add_cart_item")
    assert entry["request"] is None


async def test_commands_are_logged(gateway: Gateway, environment: dict[str, str]) -> None:
    arguments = ["apikey", "create", "--name", "books", "--scopes", "ledger:read", "--json"]
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=os.environ | environment)
    made = json.loads(done.output)
    (entry,) = await entries(gateway, object_id=made["id"])
    assert (entry["actor_kind"], entry["action"]) == ("command", "apikey create")
    assert entry["request"] == {"name": "books", "scopes": ["ledger:read"]}
    assert made["key"] not in json.dumps(entry)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor_id = 'somebody else'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "UPDATE audit_entry SET status_code = 200",
        "UPDATE audit_entry SET code = 'other'",
        "INSERT INTO audit_entry (actor_kind, actor_id, action, request_id, created_at) "
        "VALUES ('operator', 'x', 'x', '', '2020-01-01')",
    ],
)
@pytest.mark.parametrize("role", ["application", "owner"])
async def test_what_is_logged_stays(
    gateway: Gateway, database_url: str, owner_url: str, statement: str, role: str
) -> None:
    await gateway.promotion()
    if role == "owner" and statement.startswith("INSERT"):
        return
    url = (database_url if role == "application" else owner_url).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)  # type: ignore[arg-type]
    assert refused.value.sqlstate == "42501"


async def test_the_log_is_paged_and_for_operators_only(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.promotion()
    first = await gateway.operator.ok("GET", "/v1/audit", limit=2)
    rest = await gateway.operator.ok("GET", "/v1/audit", limit=2, cursor=first["next_cursor"])
    ids = [entry["id"] for entry in first["data"] + rest["data"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 4
    for caller in (
        await gateway.person(),
        await gateway.person("instructor"),
        await gateway.machine("ledger:read"),
    ):
        assert await caller.refused("GET", "/v1/audit") == (403, "forbidden")
    assert await Caller(gateway.http).refused("GET", "/v1/audit") == (401, "unauthenticated")
