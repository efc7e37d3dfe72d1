"""Runs that are cancelled or rescheduled, over HTTP: what operators, buyers and receivers see of it."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import TimeSkipper

from devstack.shopper import ApiProblem, Shopper, wait_for
from domain import ids
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean

REASON = "the teacher is ill"


async def run_of(shop: Shop, family: str, *, seats: int = 10, price: int | None = None) -> dict[str, Any]:
    """A dated run of a course that the LMS knows; its item."""
    course = f"course-{uuid.uuid4().hex[:12]}"
    await shop.lms.add_course(course, "A course")
    operator = await shop.operator()
    slug = await shop.seat(operator, capacity=seats, course=course)
    item = await operator.item(slug)
    starts_at = (datetime.now(UTC) + timedelta(days=60)).isoformat()
    changes: dict[str, Any] = {"run_of": family, "starts_at": starts_at, "title": f"Run {slug[-4:]}"}
    if price is not None:
        changes["prices"] = [{"amount": price, "currency": "USD"}]
    return dict(await operator.call("PATCH", f"/v1/catalog/items/{item['id']}", changes))


def fresh_family() -> str:
    return f"family-{uuid.uuid4().hex[:12]}"


async def cancel(shop: Shop, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What an operator does; the change."""
    operator = await shop.operator()
    path = f"/v1/catalog/items/{item['id']}/cancel-run"
    return dict(await operator.call("POST", path, {"reason": REASON, **more}))


async def done(shop: Shop, change: dict[str, Any]) -> dict[str, Any]:
    """The change, once every buyer's line is decided."""
    operator = await shop.operator()
    return dict(
        await wait_for(
            lambda: operator.call("GET", f"/v1/run-changes/{change['id']}"),
            lambda found: found["done_at"] is not None,
            what="the end of the change",
        )
    )


def answers(asked: int, **counted: int) -> dict[str, int]:
    nothing = dict.fromkeys(("open", "other_run", "store_credit", "refund", "keep", "withdrawn"), 0)
    return {"asked": asked, **nothing, **counted}


async def question(buyer: Shopper, order: dict[str, Any]) -> dict[str, Any]:
    """The open question about an order, as the dashboard shows it once it was asked."""

    async def look() -> list[dict[str, Any]]:
        board = await buyer.call("GET", "/v1/dashboard")
        shown = next(found for found in board["orders"] if found["id"] == order["id"])
        return [found for found in shown["resolutions"] if found["state"] == "open" and found["deadline"]]

    return (await wait_for(look, bool, what="the question"))[0]


def path_of(asked: dict[str, Any]) -> str:
    return f"/v1/orders/{asked['order_id']}/lines/{asked['line_id']}/resolution"


async def choose(caller: Shopper, asked: dict[str, Any], choice: str, **more: Any) -> dict[str, Any]:
    answer = await caller.call("POST", path_of(asked), {"choice": choice, **more})
    resolution: dict[str, Any] = answer["resolution"]
    return resolution


async def refused(caller: Shopper, method: str, path: str, body: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(ApiProblem) as problem:
        await caller.call(method, path, body)
    return problem.value.status, problem.value.code


async def access(buyer: Shopper) -> dict[str, str]:
    """Status by course, as the dashboard shows it."""
    board = await buyer.call("GET", "/v1/dashboard")
    return {found["lms_course_id"]: found["status"] for found in board["entitlements"]}


async def has_access(shop: Shop, buyer: Shopper, wanted: dict[str, str]) -> None:
    """Commerce and the LMS agree on each course's status: granted or revoked."""
    await wait_for(lambda: access(buyer), lambda found: found == wanted, what=f"access {wanted}")
    enrolled = {one.course_id for one in await shop.lms.enrolments(buyer.user["lms_user_id"])}
    assert enrolled == {course for course, status in wanted.items() if status == "granted"}


async def told(shop: Shop, order: dict[str, Any]) -> list[str]:
    rows = await shop.query(
        "SELECT type FROM outbound_event WHERE type LIKE 'resolution.%%' AND data->>'order_id' = %s "
        "ORDER BY stream_seq",
        order["id"],
    )
    return [row["type"].removeprefix("resolution.") for row in rows]


async def said(buyer: Shopper, order: dict[str, Any]) -> list[tuple[str, str]]:
    """The questions' entries in the timeline."""
    entries = await buyer.timeline(order["id"])
    return [(entry["kind"], entry["detail"]) for entry in entries if entry["kind"].startswith("resolution_")]


async def credit(buyer: Shopper) -> int:
    balances = (await buyer.call("GET", "/v1/store-credit"))["balances"]
    return sum(found["balance"]["amount"] for found in balances)


async def temporal(shop: Shop) -> Client:
    return await Client.connect(shop.stack.urls.temporal, namespace=shop.stack.env["TEMPORAL_NAMESPACE"])


async def late(shop: Shop, asked: dict[str, Any], days: float) -> None:
    """The time of the question's workflow passes, and of no other."""
    client = await temporal(shop)
    handle = client.get_workflow_handle(ids.resolution_workflow_id(asked["id"]))
    await TimeSkipper(client).fast_forward(handle, timedelta(days=days))


# --- who is concerned -------------------------------------------------------------------------------------


async def test_every_kind_of_buyer_of_a_cancelled_run_ends_as_it_should(shop: Shop) -> None:
    item = await run_of(shop, fresh_family(), seats=20)
    operator = await shop.operator()
    paid, free, back, disputing, unpaid, debit, whole = [await shop.learner() for _ in range(7)]
    paid_order = await shop.buy(paid, item["slug"])
    await free.add(item["slug"])
    await free.promo("FREE100")
    free_order = (await free.checkout())["order"]
    await free.wait_for_status(free_order["id"], "fulfilled")
    back_order = await shop.buy(back, item["slug"])
    await operator.refund(back_order["id"])
    await back.wait_for_status(back_order["id"], "refunded")
    disputed_order = await shop.buy(disputing, item["slug"])
    dispute = await shop.stripe.dispute(disputed_order["payments"][0]["payment_intent_id"])
    await disputing.wait_for_status(disputed_order["id"], "disputed")
    unpaid_order = (await shop.place(unpaid, item["slug"]))["order"]
    placed = await shop.place(debit, item["slug"])
    debit_order, intent = placed["order"], placed["payment"]["payment_intent_id"]
    await shop.stripe.confirm(intent, "pm_usBankAccount_processing")
    await wait_for(
        lambda: debit.order(debit_order["id"]),
        lambda found: found["payments"][-1]["status"] == "processing",
        what="the bank's work",
    )
    bundle_order = await shop.buy(whole, await bundle_with(shop, item))

    change = await cancel(shop, item, answer_days=3)
    window = datetime.fromisoformat(change["deadline"]) - datetime.fromisoformat(change["created_at"])
    assert abs(window - timedelta(days=3)) < timedelta(seconds=1)
    assert (change["kind"], change["done_at"], change["reason"]) == ("cancelled", None, REASON)
    after = await operator.item(item["id"])
    assert after["cancelled_at"] is not None
    stranger = await shop.learner()
    assert (await refused(stranger, "POST", "/v1/cart/items", {"item_id": item["id"], "quantity": 1}))[
        0
    ] == 409

    await unpaid.wait_for_status(unpaid_order["id"], "canceled")
    asked = {
        name: await question(*who)
        for name, who in {
            "paid": (paid, paid_order),
            "free": (free, free_order),
            "disputing": (disputing, disputed_order),
            "whole": (whole, bundle_order),
        }.items()
    }
    for one in asked.values():
        assert (one["cause"], one["reason"], one["run_change_id"]) == ("run_cancelled", REASON, change["id"])
        assert (one["choices"], one["default_choice"]) == (["store_credit", "refund"], "refund")
        assert one["deadline"] == change["deadline"]
    line = next(line for line in bundle_order["lines"] if line["item_id"] == item["id"])
    assert asked["whole"]["line_id"] == line["id"]
    assert (await back.order(back_order["id"]))["resolutions"] == []
    assert (await debit.order(debit_order["id"]))["payments"][-1]["status"] == "processing"

    # Each by the choice, or by what happens.
    await choose(paid, asked["paid"], "refund")
    await paid.wait_for_status(paid_order["id"], "refunded")
    await choose(free, asked["free"], "store_credit")
    assert await credit(free) == 0, "what cost nothing gives nothing back"
    assert (await refused(disputing, "POST", path_of(asked["disputing"]), {"choice": "store_credit"})) == (
        409,
        "dispute_open",
    )
    await shop.stripe.lose_dispute(dispute["id"])
    await choose(whole, asked["whole"], "refund")
    settled = await whole.wait_for_status(bundle_order["id"], "partially_refunded")
    assert settled["amount_refunded"]["amount"] == line["total"]["amount"]
    await shop.stripe.settle(intent)
    await debit.wait_for_status(debit_order["id"], "fulfilled")
    await wake(shop, change)
    last = await question(debit, debit_order)
    assert datetime.fromisoformat(last["deadline"]) > datetime.now(UTC) + timedelta(days=1)
    await choose(debit, last, "store_credit")
    await debit.wait_for_status(debit_order["id"], "refunded")
    assert await credit(debit) == settled_amount(await debit.order(debit_order["id"]))

    ended = await done(shop, change)
    assert ended["answers"] == answers(5, refund=2, store_credit=2, withdrawn=1)
    assert await told(shop, disputed_order) == ["asked", "withdrawn"]
    for buyer in (paid, free, back, disputing, debit):
        await has_access(shop, buyer, {item["lms_course_id"]: "revoked"})
    await has_access(shop, whole, {item["lms_course_id"]: "revoked", "python-101": "granted"})
    assert await access(unpaid) == {}
    assert (await operator.item(item["id"]))["seats_left"] == 20
    await assert_clean(shop.stack, seconds=60)


def settled_amount(order: dict[str, Any]) -> int:
    return int(order["total"]["amount"])


async def bundle_with(shop: Shop, item: dict[str, Any]) -> str:
    """A bundle of the run and a course; its slug."""
    operator = await shop.operator()
    slug = f"bundle-{uuid.uuid4().hex[:12]}"
    body = {
        "slug": slug,
        "type": "bundle",
        "title": "Run and course",
        "description": "",
        "prices": [{"amount": 9000, "currency": "USD"}],
        "members": [item["id"], (await operator.item("python-101"))["id"]],
        "tax_code": "txcd_20060158",
    }
    await operator.call("POST", "/v1/catalog/items", body)
    return slug


async def wake(shop: Shop, change: dict[str, Any]) -> None:
    """A payment that took days wakes no change: it looks every hour. The hour passes now."""
    client = await temporal(shop)
    await client.get_workflow_handle(change["workflow_id"]).signal("wake")


# --- what is refused --------------------------------------------------------------------------------------


async def test_a_change_that_can_not_be_is_refused(shop: Shop) -> None:
    operator = await shop.operator()
    course = await operator.item("python-101")
    item = await run_of(shop, fresh_family())
    soon = (datetime.now(UTC) + timedelta(days=5)).isoformat()
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    items = "/v1/catalog/items"
    moved = {"reason": REASON, "starts_at": soon}
    assert await refused(operator, "POST", f"{items}/{course['id']}/cancel-run", {"reason": REASON}) == (
        422,
        "not_a_run",
    )
    assert await refused(operator, "POST", f"{items}/{course['id']}/reschedule-run", moved) == (
        422,
        "not_a_run",
    )
    assert await refused(
        operator, "POST", f"{items}/{item['id']}/reschedule-run", {**moved, "starts_at": past}
    ) == (422, "date_has_passed")
    nobody = f"{items}/{uuid.uuid4()}/cancel-run"
    assert await refused(operator, "POST", nobody, {"reason": REASON}) == (404, "not_found")
    assert (await operator.item(item["id"]))["cancelled_at"] is None

    key = str(uuid.uuid4())
    path = f"{items}/{item['id']}/cancel-run"
    first = await operator.send("POST", path, {"reason": REASON}, key=key)
    again = await operator.send("POST", path, {"reason": REASON}, key=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert await refused(operator, "POST", path, {"reason": REASON}) == (409, "run_cancelled")
    assert await refused(operator, "POST", f"{items}/{item['id']}/reschedule-run", moved) == (
        409,
        "run_cancelled",
    )
    listed = (await operator.call("GET", f"/v1/run-changes?item_id={item['id']}"))["data"]
    assert [found["id"] for found in listed] == [first.json()["id"]]
    assert (await done(shop, first.json()))["answers"] == answers(0)


# --- answers ----------------------------------------------------------------------------------------------


async def test_a_buyer_moves_to_another_run_and_loses_the_old_one(shop: Shop) -> None:
    family = fresh_family()
    item, other, last_place = [await run_of(shop, family, seats=seats) for seats in (10, 10, 1)]
    dear = await run_of(shop, family, price=7000)
    buyer = await shop.learner()
    order = await shop.buy(buyer, item["slug"])
    change = await cancel(shop, item)
    asked = await question(buyer, order)
    assert asked["choices"] == ["other_run", "store_credit", "refund"]
    runs = (await buyer.call("GET", path_of(asked)))["runs"]
    places = {run["item_id"]: (run["slug"], run["seats_left"]) for run in runs}
    assert places == {other["id"]: (other["slug"], 10), last_place["id"]: (last_place["slug"], 1)}

    # The last place goes between offer and answer; the question stays open.
    await shop.buy(await shop.learner(), last_place["slug"])
    path = path_of(asked)
    for run, problem in ((last_place, (409, "sold_out")), (dear, (422, "run_not_offered"))):
        body = {"choice": "other_run", "item_id": run["id"]}
        assert await refused(buyer, "POST", path, body) == problem
    assert await refused(buyer, "POST", path, {"choice": "keep"}) == (422, "choice_not_offered")
    assert (await refused(buyer, "POST", path, {"choice": "other_run"}))[0] == 422
    assert (await question(buyer, order))["id"] == asked["id"]

    key = str(uuid.uuid4())
    body = {"choice": "other_run", "item_id": other["id"]}
    first = await buyer.send("POST", path, body, key=key)
    again = await buyer.send("POST", path, body, key=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    decided = first.json()["resolution"]
    assert (decided["choice"], decided["item_id"], decided["decided_by"]) == (
        "other_run",
        other["id"],
        "the customer",
    )
    assert await refused(buyer, "POST", path, {"choice": "refund"}) == (409, "resolution_closed")

    await has_access(shop, buyer, {item["lms_course_id"]: "revoked", other["lms_course_id"]: "granted"})
    ended = await done(shop, change)
    assert ended["answers"] == answers(1, other_run=1)
    moved = await buyer.order(order["id"])
    assert moved["status"] == "fulfilled"
    assert (moved["total"], moved["amount_refunded"]["amount"]) == (order["total"], 0)
    (line,) = moved["lines"]
    assert (line["item_id"], line["title"], line["total"]) == (
        other["id"],
        other["title"],
        order["lines"][0]["total"],
    )
    (asking, (kind, deciding)) = await said(buyer, order)
    assert asking[0] == "resolution_asked"
    assert REASON in asking[1]
    assert kind == "resolution_decided"
    assert "other_run, chosen by the customer" in deciding
    assert other["title"] in deciding
    assert await told(shop, order) == ["asked", "decided"]
    operator = await shop.operator()
    assert [(await operator.item(one["id"]))["seats_left"] for one in (item, other)] == [10, 9]


async def test_an_operator_answers_for_a_learner(shop: Shop) -> None:
    item = await run_of(shop, fresh_family())
    buyer, operator, stranger = await shop.learner(), await shop.operator(), await shop.learner()
    order = await shop.buy(buyer, item["slug"])
    change = await cancel(shop, item)
    asked = await question(buyer, order)
    open_ones = await operator.call("GET", f"/v1/resolutions?state=open&run_change_id={change['id']}")
    assert [found["id"] for found in open_ones["data"]] == [asked["id"]]
    assert await refused(stranger, "POST", path_of(asked), {"choice": "refund"}) == (404, "not_found")
    decided = await choose(operator, asked, "store_credit")
    assert decided["decided_by"] == "an operator"
    await buyer.wait_for_status(order["id"], "refunded")
    assert await credit(buyer) == order["total"]["amount"]
    assert await credit(operator) == 0
    assert "chosen by an operator" in (await said(buyer, order))[-1][1]
    (refund,) = (await buyer.order(order["id"]))["refunds"]
    shown = (await buyer.call("GET", path_of(asked)))["resolution"]
    assert shown["refund_id"] == refund["id"] == asked["id"]
    assert (await done(shop, change))["answers"] == answers(1, store_credit=1)
    await has_access(shop, buyer, {item["lms_course_id"]: "revoked"})


async def test_who_answers_too_late_finds_what_the_deadline_chose(shop: Shop) -> None:
    item = await run_of(shop, fresh_family())
    buyer = await shop.learner()
    order = await shop.buy(buyer, item["slug"])
    change = await cancel(shop, item)
    asked = await question(buyer, order)
    await late(shop, asked, 7.01)
    await buyer.wait_for_status(order["id"], "refunded")
    assert await refused(buyer, "POST", path_of(asked), {"choice": "store_credit"}) == (
        409,
        "resolution_closed",
    )
    shown = await buyer.call("GET", path_of(asked))
    assert shown["runs"] == []
    assert (shown["resolution"]["choice"], shown["resolution"]["decided_by"]) == ("refund", "the deadline")
    assert await credit(buyer) == 0
    (refund,) = await shop.stripe.listing("refunds", payment_intent=order["payments"][0]["payment_intent_id"])
    assert refund["amount"] == order["total"]["amount"]
    assert (await done(shop, change))["answers"] == answers(1, refund=1)


async def test_a_rescheduled_run_is_kept_left_or_changed_again(shop: Shop) -> None:
    family = fresh_family()
    item, other = await run_of(shop, family), await run_of(shop, family)
    operator = await shop.operator()
    staying, leaving, silent = [await shop.learner() for _ in range(3)]
    orders = [await shop.buy(buyer, item["slug"]) for buyer in (staying, leaving, silent)]
    starts_at = (datetime.now(UTC) + timedelta(days=4)).isoformat()
    path = f"/v1/catalog/items/{item['id']}/reschedule-run"
    change = await operator.call("POST", path, {"reason": REASON, "starts_at": starts_at, "answer_days": 30})
    new_date = datetime.fromisoformat(starts_at)
    assert datetime.fromisoformat(change["deadline"]) == new_date, "not after the run has begun"
    assert datetime.fromisoformat((await operator.item(item["id"]))["starts_at"]) == new_date
    first, second, third = [
        await question(*who) for who in zip((staying, leaving, silent), orders, strict=True)
    ]
    assert (first["default_choice"], first["choices"]) == (
        "keep",
        ["keep", "other_run", "store_credit", "refund"],
    )
    assert (await choose(staying, first, "keep"))["choice"] == "keep"
    assert (await choose(leaving, second, "other_run", item_id=other["id"]))["choice"] == "other_run"

    # It is cancelled after all: who has not answered is told, and who keeps it is asked again.
    cancelled = await cancel(shop, item)
    for buyer, order in ((staying, orders[0]), (silent, orders[2])):
        again = await question(buyer, order)
        while again["run_change_id"] != cancelled["id"]:  # the older one is on its way out
            again = await question(buyer, order)
        await choose(buyer, again, "refund")
        await buyer.wait_for_status(order["id"], "refunded")
    withdrawn = (await silent.order(orders[2]["id"]))["resolutions"][0]
    assert (withdrawn["id"], withdrawn["state"]) == (third["id"], "withdrawn")
    assert await told(shop, orders[2]) == ["asked", "withdrawn", "asked", "decided"]
    assert "the run was changed again" in (await said(silent, orders[2]))[1][1]
    assert await told(shop, orders[1]) == ["asked", "decided"]
    assert (await done(shop, cancelled))["answers"] == answers(2, refund=2)
    earlier = await done(shop, change)
    assert earlier["answers"] == answers(3, keep=1, other_run=1, withdrawn=1)
    await has_access(shop, leaving, {item["lms_course_id"]: "revoked", other["lms_course_id"]: "granted"})


async def test_the_books_and_every_seat_are_right_in_the_end(shop: Shop) -> None:
    await assert_clean(shop.stack, seconds=60)
