"""What a payee earns, is paid and owes, as operators and instructors read it; rules tried on past orders."""

import uuid
from dataclasses import dataclass
from typing import Any

import psycopg

from devstack.shopper import ApiProblem, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


@dataclass
class Course:
    """A course at 100 dollars without tax, of which one payee gets 60 %."""

    shop: Shop
    operator: Shopper
    slug: str
    payee: str
    rule_id: str

    async def sell(self) -> dict[str, Any]:
        """Bought and completed; the order once its earnings have accrued."""
        order, learner = await self.buy()
        await self.complete(order, learner)
        return order

    async def complete(self, order: dict[str, Any], learner: Shopper) -> None:
        """The LMS says so; wait for the earnings."""
        await self.shop.lms.complete(learner.user["lms_user_id"], self.slug)
        await wait_for(lambda: self.entries(order["id"]), lambda found: "earning.accrued" in found)

    async def buy(self) -> tuple[dict[str, Any], Shopper]:
        """A fulfilled order, and who bought it."""
        learner = await self.shop.learner()
        oregon = {"country": "US", "state": "OR", "postal_code": "97035"}
        answer = await self.shop.place(learner, self.slug, address=oregon, channel="app")
        await self.shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        return await learner.wait_for_status(answer["order"]["id"], "fulfilled"), learner

    async def earnings(self) -> dict[str, Any]:
        """What the operator reads."""
        found: dict[str, Any] = await self.operator.call("GET", f"/v1/earnings?payee={self.payee}")
        return found

    async def entries(self, order_id: str | None = None) -> list[str]:
        """Types of the payee's entries, newest first, page by page."""
        kinds, cursor = [], ""
        while True:
            page = await self.operator.call("GET", f"/v1/earnings/entries?payee={self.payee}&limit=2{cursor}")
            kinds += [e["type"] for e in page["data"] if order_id in (None, e["order_id"])]
            if page["next_cursor"] is None:
                return kinds
            cursor = f"&cursor={page['next_cursor']}"

    async def when(self, **amounts: int) -> dict[str, Any]:
        """The balance, once it has these amounts."""

        async def balance() -> dict[str, int]:
            (found,) = (await self.earnings())["balances"]
            return {name: value["amount"] for name, value in found.items() if name != "currency"}

        return await wait_for(balance, lambda found: amounts.items() <= found.items(), what=str(amounts))


async def a_course(shop: Shop) -> Course:
    operator = await shop.operator()
    slug = f"earning-{uuid.uuid4().hex[:10]}"
    payee = f"lms:{slug}"
    await shop.lms.add_course(slug, slug)
    body = {"slug": slug, "type": "course", "title": slug, "lms_course_id": slug, "payees": [payee],
            "prices": [usd(10_000)], "tax_code": "txcd_20060158"}  # fmt: skip
    item = await operator.call("POST", "/v1/catalog/items", body)
    assert item["payees"] == [payee]
    rule = await operator.call(
        "POST",
        "/v1/split-rules",
        {
            "scope": {"payee": payee, "channel": "app"},
            "valid_from": "2026-01-01T00:00:00Z",
            "shares": [{"payee": payee, "bps": 6000}],
        },
    )
    return Course(shop, operator, slug, payee, rule["id"])


async def refusal(call: Any) -> tuple[int, str]:
    try:
        await call
    except ApiProblem as problem:
        return problem.status, problem.code
    raise AssertionError("it went through")


async def test_from_accrual_to_payout_clawback_and_write_off(shop: Shop) -> None:
    course = await a_course(shop)
    operator, payee = course.operator, course.payee
    order = await course.sell()
    assert (order["channel"], order["affiliate"]) == ("app", None)
    await course.when(held=0, payable=6000)
    (by_course,) = (await course.earnings())["data"]
    assert by_course == {
        "course_id": course.slug, "currency": "USD", "accrued": usd(6000), "held": usd(0),
        "releasable": usd(0), "released": usd(6000), "reversed": usd(0),
    }  # fmt: skip
    await shop.payout.settle(payee, "USD", 6000)
    await course.when(payable=0, settled=6000)
    (payout,) = (await operator.call("GET", f"/v1/earnings/payouts?payee={payee}"))["data"]
    assert (payout["amount"], payout["excess"]) == (usd(6000), usd(0))

    await operator.refund(order["id"])
    await course.when(receivable=6000)
    write_off = {"payee_ref": payee, "amount": usd(6001), "reason": "the teacher is gone"}
    too_much = operator.call("POST", "/v1/earnings/write-offs", write_off)
    assert await refusal(too_much) == (409, "write_off_exceeds_debt")
    key = str(uuid.uuid4())
    done = await operator.call("POST", "/v1/earnings/write-offs", write_off | {"amount": usd(2000)}, key=key)
    again = await operator.call("POST", "/v1/earnings/write-offs", write_off | {"amount": usd(2000)}, key=key)
    assert done == again
    await course.when(receivable=4000, written_off=2000)
    await course.sell()  # is netted with what is owed
    await course.when(payable=2000, receivable=0)
    assert await course.entries() == [
        "earning.released", "earning.accrued", "payee.written_off", "earning.reversed", "earning.released",
        "earning.accrued",
    ]  # fmt: skip
    (correction,) = (await operator.call("GET", f"/v1/earnings/corrections?payee={payee}"))["data"]
    assert correction == done

    async def payable() -> list[int]:
        return [row.payable for row in await shop.payout.payees() if row.payee_ref == payee]

    await wait_for(payable, lambda found: found == [2000], what="the payout system's own count")
    await assert_clean(shop.stack)


async def test_a_rule_is_tried_on_past_orders(shop: Shop) -> None:
    course = await a_course(shop)
    sold, refunded = [await course.sell() for _ in range(2)]
    await course.operator.refund(refunded["id"], amount=usd(2500))
    other = f"lms:{uuid.uuid4().hex[:8]}"
    shares = {"shares": [{"payee": course.payee, "bps": 5000}, {"payee": other, "bps": 1000}]}
    body = {"order_ids": [sold["id"], refunded["id"]], "rule": shares}

    def simulated(path: str = "/v1/split-rules/simulate", **changes: Any) -> Any:
        return course.operator.call("POST", path, body | changes)

    found = (await simulated())["orders"]
    assert (found["line_count"], found["not_accrued"]) == (2, 0)
    assert found["totals"] == sorted(
        [
            {"payee": course.payee, "paid": usd(6000 + 4500), "would_pay": usd(5000 + 3750)},
            {"payee": other, "paid": usd(0), "would_pay": usd(1000 + 750)},
        ],
        key=lambda total: str(total["payee"]),
    )
    assert [line["order_id"] for line in found["lines"]] == [sold["id"], refunded["id"]]
    same = (await simulated(rule=None))["orders"]
    assert all(total["paid"] == total["would_pay"] for total in same["totals"])
    elsewhere = (await simulated(channel="web"))["orders"]
    assert elsewhere["line_count"] == 0
    period = {"from": sold["created_at"], "order_ids": None, "item_id": sold["lines"][0]["item_id"]}
    assert (await simulated(**period))["orders"]["totals"] == found["totals"]
    tiers = {
        "shares": [{"payee": other, "bps": 0}],
        "tiers": {"payee": other, "tiers": [{"upto": 10_000, "bps": 0}, {"upto": None, "bps": 10_000}]},
    }
    (by_volume,) = (t for t in (await simulated(rule=tiers))["orders"]["totals"] if t["payee"] == other)
    assert by_volume["would_pay"] == usd(7500), "the second sale lies in the second tier, less its refund"


async def test_one_sale_has_an_agreement_of_its_own(shop: Shop) -> None:
    course = await a_course(shop)
    order, learner = await course.buy()
    scope = {"scope": {"order_line_id": order["lines"][0]["id"]}}
    rule = {**scope, "valid_from": "2026-01-01T00:00:00Z", "shares": [{"payee": course.payee, "bps": 9000}]}
    over = {**rule, "shares": [{"payee": "a", "bps": 9000}, {"payee": "b", "bps": 1001}]}
    assert await refusal(course.operator.call("POST", "/v1/split-rules", over)) == (422, "split_rule_invalid")
    await course.operator.call("POST", "/v1/split-rules", rule)
    overlapping = course.operator.call("POST", "/v1/split-rules", rule)
    assert await refusal(overlapping) == (409, "split_rule_overlap")
    await course.complete(order, learner)
    await course.when(payable=9000)
    late = course.operator.call("POST", "/v1/split-rules", rule | {"priority": 1})
    assert await refusal(late) == (409, "already_accrued")
    kinds = [event["kind"] for event in await learner.timeline(order["id"])]
    assert "split_agreed" in kinds


async def test_who_may_see_and_correct_what(shop: Shop) -> None:
    course = await a_course(shop)
    instructor = await Shopper(shop.gateway).login("instructor@example.com")
    learner = await shop.learner()
    own = await instructor.call("GET", "/v1/earnings")
    assert own["payee_ref"] == f"lms:{instructor.user['lms_user_id']}"
    assert await instructor.call("GET", f"/v1/earnings?payee={own['payee_ref']}") == own
    for path in ("/v1/earnings", "/v1/earnings/entries", "/v1/earnings/payouts"):
        others = instructor.call("GET", f"{path}?payee={course.payee}")
        assert await refusal(others) == (403, "forbidden")
        assert await refusal(learner.call("GET", path)) == (403, "forbidden")
    assert await refusal(course.operator.call("GET", "/v1/earnings")) == (422, "invalid_request")
    assert await refusal(instructor.call("GET", "/v1/earnings/corrections")) == (403, "forbidden")
    move = {
        "order_line_id": str(uuid.uuid4()), "from_payee": course.payee, "to_payee": "lms:x",
        "amount": usd(5), "reason": "wrong teacher",
    }  # fmt: skip
    path = "/v1/earnings/reassignments"
    assert await refusal(instructor.call("POST", path, move)) == (403, "forbidden")
    assert await refusal(course.operator.call("POST", path, move)) == (404, "not_found")
    for wrong in ({"to_payee": course.payee}, {"to_payee": "platform"}, {"amount": usd(0)}):
        assert await refusal(course.operator.call("POST", path, move | wrong)) == (422, "invalid_request")
    line_id = (await course.sell())["lines"][0]["id"]
    move["order_line_id"] = line_id
    too_much = course.operator.call("POST", path, move | {"amount": usd(6001)})
    assert await refusal(too_much) == (409, "share_too_small")
    yen = course.operator.call("POST", path, move | {"amount": {"amount": 5, "currency": "JPY"}})
    assert (await refusal(yen))[1] == "currency_mismatch"


async def test_the_worker_dies_in_the_middle_of_a_release(shop: Shop) -> None:
    """Killed while the release waits for the order's lock: released once, told once."""
    course = await a_course(shop)
    url = shop.stack.urls.database_url.replace("+psycopg", "", 1)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        order = await course.sell()
        await connection.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (order["id"],))
        await wait_for(
            lambda: shop.query(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock' AND query LIKE '%%FOR UPDATE%%'"
            ),
            bool,
            what="the release in the queue for the order",
        )
        await shop.stack.kill("worker")
        await connection.rollback()
    assert await course.entries() == ["earning.accrued"]
    await shop.stack.restart("worker")
    await course.when(held=0, payable=6000)
    assert await course.entries() == ["earning.released", "earning.accrued"]
    await assert_clean(shop.stack)
