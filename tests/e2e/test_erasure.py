"""A person is erased: not before their money is settled, then everywhere but in what the law keeps."""

import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from devstack.shopper import Shopper, wait_for
from domain.ids import email_caller
from models.database import Database, Session
from models.queries import wiping
from tests.e2e.conftest import Shop

KEPT_BY_LAW = {"document"}


class RolledBack(Exception):
    """What was tried is undone."""


class Person:
    """Somebody whose name and address nobody else has."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:10]
        self.email = f"Ada.{mark}@example.com"
        self.name = f"Ada O'Lovelace-{mark}"
        self.street = f"{mark} Analytical Row"
        self.words = f"my cousin {mark} has the course already"
        self.traces = [mark, email_caller(self.email)]

    @property
    def address(self) -> dict[str, str]:
        return {
            "country": "US",
            "state": "NY",
            "postal_code": "10001",
            "city": "New York",
            "line1": self.street,
            "name": self.name,
        }


async def holding(session: Session, traces: Iterable[str]) -> set[str]:
    """The tables in which any row, as text, has one of the traces."""
    names = await session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
    found = set()
    for table in names.scalars().all():
        for trace in traces:
            query = text(f"SELECT 1 FROM {table} t WHERE position(:trace in t::text) > 0 LIMIT 1")
            if (await session.execute(query, {"trace": trace})).first():
                found.add(table)
    return found


async def lived(shop: Shop, person: Person) -> Shopper:
    """A learner who left traces: bought, disputed, was refunded, wrote, was written about."""
    operator = await shop.operator()
    learner = await Shopper(shop.gateway).register(person.email, person.name)

    await learner.add("python-101")
    answer = await learner.checkout(
        address=person.address, return_url=f"https://shop.example/{person.traces[0]}"
    )
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    first = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    await learner.refund(first["id"], reason=person.words)
    await learner.wait_for_status(first["id"], "refunded")

    await learner.add("data-science")
    answer = await learner.checkout(address=person.address)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_createDispute")
    second = await learner.wait_for_status(answer["order"]["id"], "disputed")

    async def dispute() -> dict[str, Any]:
        (row,) = await shop.query(
            "SELECT provider_id, evidence FROM dispute WHERE order_id = %s", second["id"]
        )
        return row

    held = await wait_for(dispute, lambda row: row["evidence"] is not None, what="the evidence")
    assert held["evidence"]["customer_name"] == person.name
    await shop.stripe.win_dispute(held["provider_id"])
    await learner.wait_for_status(second["id"], "fulfilled")

    user = learner.user["id"]
    why = f"{person.name} ({person.email.lower()}) asked on the telephone"
    await operator.call("POST", f"/v1/users/{user}/export", {"reason": why})
    credit = {"user_id": user, "amount": {"amount": 100, "currency": "USD"}, "reason": why}
    await operator.call("POST", "/v1/store-credit/grants", credit)
    await shop.lms.rename(learner.user["lms_user_id"], last_name=f"O'Lovelace-{person.traces[0]} the Second")
    await wait_for(
        lambda: learner.call("GET", "/v1/me"),
        lambda me: me["full_name"].endswith("Second"),
        what="the rename",
    )
    return learner


PLANTED = (
    "INSERT INTO operator_task (task_key, kind, user_id, what, note, closed_at, closed_by) "
    "SELECT 'planted', 'completion_taken_back', u.id, '', 'asked ' || CAST(:name AS text), now(), u.id "
    "FROM commerce_user u WHERE u.id = :user",
    "UPDATE entitlement SET failure_detail = :name WHERE user_id = :user",
    "INSERT INTO resolution (line_id, lms_course_id, cause, reason, state) SELECT l.id, l.lms_course_id, "
    "'lms_refused', :name, 'withdrawn' FROM order_line l JOIN orders o ON o.id = l.order_id "
    "WHERE o.user_id = :user",
    "UPDATE inbound_event SET payload = jsonb_set(payload, '{data,object,receipt_email}', "
    "to_jsonb(CAST(:name AS text))) WHERE order_id IN (SELECT id FROM orders WHERE user_id = :user)",
    "INSERT INTO webhook_delivery (endpoint_id, event_id, last_response) SELECT w.id, e.id, :name "
    "FROM webhook_endpoint w, outbound_event e WHERE e.type = 'refund.succeeded' "
    "AND e.stream IN (SELECT 'order/' || id FROM orders WHERE user_id = :user) ON CONFLICT DO NOTHING",
    "INSERT INTO webhook_attempt (delivery_id, endpoint_id, attempt, outcome, url, request_headers, "
    "request_body, response_headers, response_body, duration_ms) "
    "SELECT id, endpoint_id, 1, 'delivered', '', '{}', '', '{}', last_response, 1 "
    "FROM webhook_delivery WHERE last_response = :name",
)
# These leave nothing that has a name in it.
NAMELESS = {"carts", "sign-ins", "addresses that were given"}


async def each_step_is_needed(
    database: Database, person: Person, learner: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all steps nothing is left but what the law keeps; without any one of them, something is."""
    user = learner.user["id"]
    with suppress(RolledBack):
        async with database.transaction() as session:
            for statement in PLANTED:
                given = {"user": user, "name": person.name}
                bound = {name: value for name, value in given.items() if f":{name}" in statement}
                await session.execute(text(statement), bound)
            for left_out in (None, *(set(wiping.STEPS) - NAMELESS)):
                steps = {name: step for name, step in wiping.STEPS.items() if name != left_out}
                monkeypatch.setattr(wiping, "STEPS", steps)
                async with session.begin_nested() as tried:
                    await wiping.wipe(session, user)
                    found = await holding(session, person.traces)
                    assert (found == KEPT_BY_LAW) == (left_out is None), (left_out, found)
                    await tried.rollback()
                monkeypatch.undo()
            raise RolledBack


async def test_a_person_is_gone_but_for_what_the_law_keeps(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    learner = await lived(shop, person)
    database = Database(shop.stack.urls.database_url)
    await each_step_is_needed(database, person, learner, monkeypatch)
    await learner.add("web-design")
    unpaid = (await learner.checkout(address=person.address))["order"]

    asked = await learner.call("POST", "/v1/me/erasure")
    assert asked["status"] == "waiting"

    async def stands() -> dict[str, Any]:
        return dict(await learner.call("GET", "/v1/me/erasure"))

    waiting = await wait_for(stands, lambda e: bool(e["waits_for"]), what="what is waited for")
    assert waiting["waits_for"] == [f"order {unpaid['number']} may still be paid"]
    refresh = await learner.send("POST", "/v1/auth/refresh", {"refresh_token": learner.refresh_token})
    assert refresh.status_code == 401
    assert (await learner.call("POST", "/v1/me/erasure"))["id"] == asked["id"]
    await learner.call("POST", f"/v1/orders/{unpaid['id']}/cancel")  # its cart is open again

    erased = await wait_for(stands, lambda e: e["status"] == "erased", what="the erasure")
    assert erased["waits_for"] == []
    async with database.transaction() as session:
        assert await holding(session, person.traces) == KEPT_BY_LAW
    for table in ("cart", "refresh_token"):
        lines = "JOIN cart_line l ON l.cart_id = t.id" if table == "cart" else ""
        rows = await shop.query(
            f"SELECT 1 FROM {table} t {lines} WHERE t.user_id = %s LIMIT 1", learner.user["id"]
        )
        assert not rows, table
    await database.aclose()
    me = await learner.call("GET", "/v1/me")
    assert (me["email"], me["full_name"], me["lms_user_id"]) == (
        None,
        "Erased person",
        learner.user["lms_user_id"],
    )
    # The books are whole, and operators still see what was sold.
    operator = await shop.operator()
    found = await operator.call("GET", f"/v1/orders?user_id={learner.user['id']}")
    assert len(found["data"]) == 3
    receipt = await operator.send("GET", f"/v1/orders/{found['data'][-1]['id']}/receipt.pdf")
    assert receipt.status_code == 200
    told = await shop.query(
        "SELECT data FROM outbound_event WHERE stream = %s", f"person/{learner.user['id']}"
    )
    assert [row["data"]["lms_user_id"] for row in told] == [learner.user["lms_user_id"]]
