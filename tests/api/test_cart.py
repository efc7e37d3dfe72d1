"""The cart: one a learner, its lines, its code, its live problems; and the quote."""

import asyncio
import uuid
from typing import Any

import pytest
import sqlalchemy

from models.queries import carts
from tests.api.callers import Caller, Gateway, usd

PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


async def test_a_cart_is_there_at_first_sight_and_stays_the_same(gateway: Gateway) -> None:
    learner = await gateway.person()
    first, second = await asyncio.gather(*(learner.ok("GET", "/v1/cart") for _ in range(2)))
    assert first == second
    assert (first["currency"], first["lines"], first["promo_code"]) == (None, [], None)
    assert first["totals"] == dict.fromkeys(("subtotal", "discount", "tax", "total"), usd(0))


async def test_a_line_shows_title_and_price_and_counts(gateway: Gateway) -> None:
    learner = await gateway.person()
    course = await gateway.item(title="Ordinary title")
    answer = await learner.send("POST", "/v1/cart/items", {"item_id": course["id"], "quantity": 1})
    assert answer.status_code == 201
    cart = answer.json()
    assert cart["lines"] == [
        {
            "id": cart["lines"][0]["id"],
            "item_id": course["id"],
            "title": "Ordinary title",
            "quantity": 1,
            "unit_price": usd(10_000),
            "line_total": usd(10_000),
        }
    ]
    assert cart["totals"]["total"] == usd(10_000)
    assert await learner.ok("GET", "/v1/cart") == cart


async def test_the_first_line_fixes_the_currency(gateway: Gateway) -> None:
    learner = await gateway.person()
    assert (await learner.add("python-101", currency="EUR"))["currency"] == "EUR"
    assert (await learner.add("data-science"))["totals"]["subtotal"] == {"amount": 22_800, "currency": "EUR"}
    item = await gateway.nobody().ok("GET", "/v1/catalog/items/web-design")
    for body, code in (
        ({"item_id": item["id"], "currency": "USD"}, "currency_mismatch"),
        ({"item_id": (await gateway.item())["id"]}, "currency_mismatch"),
    ):
        assert await learner.refused("POST", "/v1/cart/items", body) == (409, code)
    for line in (await learner.ok("GET", "/v1/cart"))["lines"]:
        emptied = await learner.ok("DELETE", f"/v1/cart/items/{line['id']}")
    assert emptied["currency"] is None
    assert (await learner.add("japanese-basics"))["currency"] == "JPY"


async def test_a_retry_adds_nothing_and_neither_does_a_second_click(gateway: Gateway) -> None:
    learner = await gateway.person()
    body = {"item_id": (await gateway.item())["id"]}
    key = str(uuid.uuid4())
    first = await learner.send("POST", "/v1/cart/items", body, key=key)
    again = await learner.send("POST", "/v1/cart/items", body, key=key)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    clicked = await learner.ok("POST", "/v1/cart/items", body)
    assert clicked["lines"] == first.json()["lines"]


async def test_a_line_goes_by_delete_or_by_quantity_zero(gateway: Gateway) -> None:
    learner = await gateway.person()
    for slug in ("python-101", "data-science"):
        cart = await learner.add(slug)
    first, second = (f"/v1/cart/items/{line['id']}" for line in cart["lines"])
    assert len((await learner.ok("PATCH", first, {"quantity": 1}))["lines"]) == 2
    assert len((await learner.ok("PATCH", first, {"quantity": 0}))["lines"]) == 1
    assert (await learner.ok("DELETE", second))["lines"] == []
    for gone in (first, second, "/v1/cart/items/nothing"):
        assert await learner.refused("DELETE", gone) == (404, "not_found")
        assert await learner.refused("PATCH", gone, {"quantity": 1}) == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 0},
        {"quantity": 2},
        {"quantity": "many"},
        {"price": 1},
        {"currency": "usd"},
        {"item_id": 5},
    ],
)
async def test_a_line_out_of_form_is_refused(gateway: Gateway, change: dict[str, Any]) -> None:
    learner = await gateway.person()
    item = await gateway.nobody().ok("GET", "/v1/catalog/items/python-101")
    body = {"item_id": item["id"], **change}
    assert await learner.refused("POST", "/v1/cart/items", body) == (422, "invalid_request")


async def test_another_learners_line_is_not_found(gateway: Gateway) -> None:
    owner, other = await gateway.person(), await gateway.person()
    line = (await owner.add("python-101"))["lines"][0]
    path = f"/v1/cart/items/{line['id']}"
    for caller in (other, gateway.operator):
        assert await caller.refused("DELETE", path) == (404, "not_found")
        assert await caller.refused("PATCH", path, {"quantity": 0}) == (404, "not_found")
    assert len((await owner.ok("GET", "/v1/cart"))["lines"]) == 1
    assert await gateway.nobody().refused("GET", "/v1/cart") == (401, "unauthenticated")


async def test_what_is_not_for_sale_does_not_get_in(gateway: Gateway) -> None:
    learner = await gateway.person()
    for change in ({"available": False}, {"available_from": FUTURE}, {"available_until": PAST}):
        item = await gateway.item(**change)
        refusal = await learner.refused("POST", "/v1/cart/items", {"item_id": item["id"]})
        assert refusal == (409, "item_unavailable")
    full = await gateway.item(type="registration", capacity=0)
    assert await learner.refused("POST", "/v1/cart/items", {"item_id": full["id"]}) == (409, "sold_out")
    for unknown in (str(uuid.uuid4()), "nothing"):
        refusal = await learner.refused("POST", "/v1/cart/items", {"item_id": unknown})
        assert refusal == (404, "not_found")
    assert (await learner.ok("GET", "/v1/cart"))["lines"] == []


async def test_problems_of_what_lies_in_the_cart_are_live(gateway: Gateway) -> None:
    learner = await gateway.person()
    course = await gateway.item()
    seminar = await gateway.item(type="registration", capacity=1)
    dearer = await gateway.item()
    promotion = await gateway.promotion()
    lines: dict[str, str] = {}
    for item in (course, seminar, dearer):
        cart = await learner.add(item["slug"])
        lines[item["slug"]] = cart["lines"][-1]["id"]
    assert (await learner.ok("PUT", "/v1/cart/promo", {"code": promotion["code"]}))["problems"] == []

    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{course['id']}", {"available": False})
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{seminar['id']}", {"capacity": 0})
    euros = {"prices": [{"amount": 1, "currency": "EUR"}]}
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{dearer['id']}", euros)
    await gateway.operator.ok("PATCH", f"/v1/promotions/{promotion['id']}", {"ends_at": PAST})
    problems = (await learner.ok("GET", "/v1/cart"))["problems"]
    assert {(problem["code"], problem["line_id"], problem["reason"]) for problem in problems} == {
        ("item_unavailable", lines[course["slug"]], None),
        ("sold_out", lines[seminar["slug"]], None),
        ("currency_mismatch", lines[dearer["slug"]], None),
        ("promo_invalid", None, "expired"),
    }


async def buys(gateway: Gateway, learner: Caller, slug: str, state: str) -> None:
    """An order of one course, as if checkout had placed it; and its entitlement, when it is paid."""
    item = await gateway.nobody().ok("GET", f"/v1/catalog/items/{slug}")
    async with gateway.services.database.transaction() as session:
        cart = (
            await session.execute(
                sqlalchemy.text("INSERT INTO cart (user_id, open) VALUES (:u, false) RETURNING id"),
                {"u": learner.user_id},
            )
        ).scalar_one()
        order_id = str(uuid.uuid4())
        await session.execute(
            sqlalchemy.text(
                "INSERT INTO orders (id, number, user_id, cart_id, currency, payment_state, subtotal, "
                "discount, tax, total, expires_at) VALUES (CAST(:id AS uuid), "
                "CAST(:id AS text), :u, :cart, 'USD', :state, 0, 0, 0, 0, now())"
            ),
            {"id": order_id, "u": learner.user_id, "cart": cart, "state": state},
        )
        line = (
            await session.execute(
                sqlalchemy.text(
                    "INSERT INTO order_line (order_id, ordinal, item_id, title, lms_course_id, unit_price, "
                    "list_net, discount_net, net, tax, gross, recognition, refund_window_days, hold_seconds) "
                    "VALUES (:order, 1, :item, 't', :course, 0, 0, 0, 0, 0, 0, 'on_grant', 0, 0) RETURNING id"
                ),
                {"order": order_id, "item": item["id"], "course": item["lms_course_id"]},
            )
        ).scalar_one()
        if state == "paid":
            entitlement = (
                await session.execute(
                    sqlalchemy.text(
                        "INSERT INTO entitlement (user_id, lms_course_id) VALUES (:u, :course) RETURNING id"
                    ),
                    {"u": learner.user_id, "course": item["lms_course_id"]},
                )
            ).scalar_one()
            await session.execute(
                sqlalchemy.text("INSERT INTO justification (entitlement_id, line_id) VALUES (:e, :l)"),
                {"e": entitlement, "l": line},
            )


@pytest.mark.parametrize(
    ("state", "owned"),
    [("paid", True), ("pending", True), ("processing", True), ("canceled", False), ("expired", False)],
)
async def test_a_course_is_owned_while_a_right_to_it_or_an_open_order_stands(
    gateway: Gateway, state: str, owned: bool
) -> None:
    learner = await gateway.person()
    await buys(gateway, learner, "python-101", state)
    item = await gateway.nobody().ok("GET", "/v1/catalog/items/python-101")
    answer = await learner.send("POST", "/v1/cart/items", {"item_id": item["id"]})
    expected = (409, "already_owned") if owned else (201, None)
    assert (answer.status_code, answer.json().get("code")) == expected


async def test_a_bundle_is_owned_with_its_last_part(gateway: Gateway) -> None:
    learner = await gateway.person()
    await buys(gateway, learner, "python-101", "paid")
    await buys(gateway, learner, "data-science", "pending")
    await learner.add("career-bundle")
    await buys(gateway, learner, "web-design", "paid")
    problems = (await learner.ok("GET", "/v1/cart"))["problems"]
    assert [problem["code"] for problem in problems] == ["already_owned"]


async def test_a_code_applies_or_says_why_not(gateway: Gateway) -> None:
    learner = await gateway.person()
    course, other = await gateway.item(), await gateway.item()
    await learner.add(course["slug"])
    good = await gateway.promotion(item_ids=[course["id"]], min_subtotal=10_000)
    cart = await learner.ok("PUT", "/v1/cart/promo", {"code": f"  {good['code'].lower()} "})
    assert (cart["promo_code"], cart["totals"]["discount"]) == (good["code"], usd(1000))
    cases: dict[str, dict[str, Any]] = {
        "expired": {"ends_at": PAST},
        "not_started": {"starts_at": FUTURE},
        "used_up": {"usage_limit": 0},
        "not_applicable": {"item_ids": [other["id"]]},
        "below_minimum": {"min_subtotal": 10_001},
        "unknown": {"active": False},
    }
    for reason, terms in cases.items():
        promotion = await gateway.promotion(**terms)
        answer = await learner.send("PUT", "/v1/cart/promo", {"code": promotion["code"]})
        assert (answer.status_code, answer.json()["code"]) == (422, "promo_invalid")
        assert answer.json()["reason"] == reason
    euros = {"kind": "fixed", "percent_bp": None, "amount_off": 5, "currency": "EUR"}
    promotion = await gateway.promotion(**euros)
    answer = await learner.send("PUT", "/v1/cart/promo", {"code": promotion["code"]})
    assert answer.json()["reason"] == "not_applicable"
    # A refused code leaves the one that was there.
    assert (await learner.ok("GET", "/v1/cart"))["promo_code"] == good["code"]
    cleared = await learner.ok("DELETE", "/v1/cart/promo")
    assert (cleared["promo_code"], cleared["totals"]["discount"]) == (None, usd(0))


async def test_a_code_can_come_before_the_lines_if_it_exists(gateway: Gateway) -> None:
    learner = await gateway.person()
    for code, reason in (("NO-SUCH-CODE", "unknown"), ("EXPIRED", "expired")):
        answer = await learner.send("PUT", "/v1/cart/promo", {"code": code})
        assert (answer.status_code, answer.json()["reason"]) == (422, reason)
    await learner.ok("PUT", "/v1/cart/promo", {"code": "WELCOME10"})
    assert (await learner.add("python-101"))["totals"]["discount"] == usd(990)


async def test_a_code_for_first_purchases_is_for_those(gateway: Gateway) -> None:
    promotion = await gateway.promotion(first_purchase_only=True)
    for state, reason in ((None, None), ("canceled", None), ("pending", "not_applicable")):
        learner = await gateway.person()
        if state is not None:
            await buys(gateway, learner, "web-design", state)
        await learner.add("python-101")
        answer = await learner.send("PUT", "/v1/cart/promo", {"code": promotion["code"]})
        assert answer.json().get("reason") == reason


async def test_a_stale_change_of_the_cart_is_refused(gateway: Gateway) -> None:
    learner = await gateway.person()
    line = (await learner.add("python-101"))["lines"][0]
    path = f"/v1/cart/items/{line['id']}"
    tag = (await learner.send("GET", "/v1/cart")).headers["ETag"]
    changed = await learner.send("PUT", "/v1/cart/promo", {"code": "WELCOME10"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    stale = {"If-Match": tag}
    for method, target, body in (
        ("PATCH", path, {"quantity": 0}),
        ("DELETE", path, None),
        ("DELETE", "/v1/cart/promo", None),
        ("POST", "/v1/cart/items", {"item_id": line["item_id"]}),
    ):
        refusal = await learner.refused(method, target, body, headers=stale)
        assert refusal == (412, "precondition_failed")
    fresh = {"If-Match": changed.headers["ETag"]}
    assert (await learner.ok("PATCH", path, {"quantity": 0}, headers=fresh))["lines"] == []


async def test_a_cart_that_is_checked_out_meanwhile_makes_way_for_a_new_one(gateway: Gateway) -> None:
    """Another tab holds the cart's lock and closes it, just when this one wants to change it."""
    learner = await gateway.person()
    before = await learner.ok("GET", "/v1/cart")
    async with gateway.services.commands.session() as other_tab:
        await carts.open_cart(other_tab, learner.user_id, lock=True)
        adding = asyncio.create_task(learner.add("python-101"))
        await asyncio.sleep(0.3)
        assert not adding.done()
        await carts.close(other_tab, before["id"])
        await other_tab.commit()
    after = await asyncio.wait_for(adding, 10)
    assert after["id"] != before["id"]
    assert len(after["lines"]) == 1


async def test_clicks_at_once_make_one_cart_with_one_line(gateway: Gateway) -> None:
    learner = await gateway.person()
    item = await gateway.nobody().ok("GET", "/v1/catalog/items/python-101")
    answers = await asyncio.gather(
        *(learner.send("POST", "/v1/cart/items", {"item_id": item["id"]}) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await learner.ok("GET", "/v1/cart"))["lines"]) == 1
