"""Adjustments over HTTP: goodwill as refund and as store credit, price corrections, and what is refused."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from devstack.shopper import ApiProblem, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean


async def adjust(operator: Shopper, order: dict[str, Any], amount: int, kind: str, **more: Any) -> Any:
    body = {"amount": {"amount": amount, "currency": "USD"}, "kind": kind, "reason": "too slow", **more}
    return (await operator.call("POST", f"/v1/orders/{order['id']}/adjustments", body))["adjustment"]


async def settled(learner: Shopper, order: dict[str, Any]) -> dict[str, Any]:
    return await wait_for(
        lambda: learner.order(order["id"]),
        lambda found: (
            found["amount_refunded"]["amount"] == sum(r["amount"]["amount"] for r in found["refunds"])
        ),
        what="settled refunds",
    )


async def written(shop: Shop, order: dict[str, Any]) -> tuple[int, ...]:
    """How many rows the order has where an adjustment would write."""
    found = await shop.query(
        "SELECT (SELECT count(*) FROM refund WHERE order_id = o.id) AS refunds, "
        "(SELECT count(*) FROM store_credit_grant WHERE order_id = o.id) AS grants, "
        "(SELECT count(*) FROM journal_entry WHERE order_id = o.id AND kind <> 'processor_fee') AS entries "
        "FROM orders o WHERE o.id = %s",
        order["id"],
    )
    return tuple(found[0].values())


async def test_goodwill_is_borne_by_the_platform_and_leaves_access(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    adjustment = await adjust(operator, order, 1000, "goodwill")
    assert (adjustment["kind"], adjustment["as"]) == ("goodwill", "refund")
    order = await settled(learner, order)
    (refund,) = order["refunds"]
    assert (refund["id"], refund["kind"], refund["amount"]["amount"]) == (adjustment["id"], "goodwill", 1000)
    assert order["status"] == "partially_refunded"
    assert order["entitlements"][0]["status"] == "granted"
    kinds = {
        e["kind"] for e in await shop.query("SELECT kind FROM journal_entry WHERE order_id = %s", order["id"])
    }
    assert "refund_initiated" in kinds
    assert "split_reversed" not in kinds
    documents = (await learner.call("GET", f"/v1/orders/{order['id']}/documents"))["data"]
    assert [d["total"]["amount"] for d in documents if d["kind"] == "credit_note"] == [1000]


async def test_a_price_correction_takes_the_shares_back_and_leaves_access(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")

    async def kinds() -> set[str]:
        rows = await shop.query("SELECT kind FROM journal_entry WHERE order_id = %s", order["id"])
        return {row["kind"] for row in rows}

    await wait_for(kinds, lambda found: "split_accrued" in found, what="the accrual")
    await adjust(operator, order, order["total"]["amount"], "correction")
    after = await settled(learner, order)
    assert after["status"] == "refunded"
    assert after["entitlements"][0]["status"] == "granted"
    assert "split_reversed" in await kinds()
    told = await shop.query(
        "SELECT data->>'reason' AS reason FROM outbound_event WHERE type = 'earning.reversed' "
        "AND data->>'order_id' = %s",
        order["id"],
    )
    assert {row["reason"] for row in told} == {"price correction"}


async def test_goodwill_as_store_credit_is_there_at_once(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    adjustment = await adjust(operator, order, 700, "goodwill", **{"as": "store_credit"})
    assert (adjustment["status"], adjustment["refund_id"]) == ("succeeded", None)
    (balance,) = (await learner.call("GET", "/v1/store-credit"))["balances"]
    assert balance["available"] == {"amount": 700, "currency": "USD"}
    (change,) = (await learner.call("GET", "/v1/store-credit/entries"))["data"]
    assert (change["kind"], change["amount"], change["order_id"]) == ("goodwill_credit", 700, order["id"])
    assert (await learner.order(order["id"]))["refunds"] == []
    await assert_clean(shop.stack)


async def test_adjustments_that_do_not_fit_are_refused_and_nothing_is_written(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    await adjust(operator, order, 1000, "goodwill", **{"as": "store_credit"})
    total, before = order["total"]["amount"], await written(shop, order)
    for amount, kind, given_as in (
        (total + 1, "goodwill", "refund"),
        (total + 1, "correction", "refund"),
        (total - 999, "goodwill", "store_credit"),  # with the 1000 before, more than was paid
    ):
        with pytest.raises(ApiProblem) as refused:
            await adjust(operator, order, amount, kind, **{"as": given_as})
        assert (refused.value.status, refused.value.code) == (409, "refund_exceeds_paid")
    for body in (
        {"amount": {"amount": 100, "currency": "EUR"}, "kind": "goodwill", "reason": "x"},
        {"amount": {"amount": 0, "currency": "USD"}, "kind": "goodwill", "reason": "x"},
        {
            "amount": {"amount": 1, "currency": "USD"},
            "kind": "correction",
            "reason": "x",
            "as": "store_credit",
        },
        {"amount": {"amount": 1, "currency": "USD"}, "kind": "present", "reason": "x"},
    ):
        answer = await operator.send("POST", f"/v1/orders/{order['id']}/adjustments", body)
        assert answer.status_code in (409, 422), answer.text
    with pytest.raises(ApiProblem) as refused:
        await adjust(learner, order, 1, "goodwill")
    assert refused.value.status == 403
    assert await written(shop, order) == before


async def test_of_adjustments_that_together_exceed_what_was_paid_one_is_made(shop: Shop) -> None:
    operator = await shop.operator()
    for given_as in ("refund", "store_credit"):
        order = await shop.buy(await shop.learner())
        body = {"amount": order["total"], "kind": "goodwill", "reason": "race", "as": given_as}

        async def outcome(body: dict[str, Any] = body, order: dict[str, Any] = order) -> str:
            answer = await operator.insist("POST", f"/v1/orders/{order['id']}/adjustments", body)
            return str(answer.json().get("code", answer.status_code))

        found = Counter(await asyncio.gather(*(outcome() for _ in range(32))))
        assert found == {"202": 1, "refund_exceeds_paid": 31}


@pytest.mark.parametrize("given_as", ["refund", "store_credit"])
async def test_an_unpaid_or_disputed_order_is_not_adjusted(shop: Shop, given_as: str) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    unpaid = (await shop.place(learner))["order"]
    with pytest.raises(ApiProblem) as refused:
        await adjust(operator, unpaid, 100, "goodwill", **{"as": given_as})
    assert (refused.value.status, refused.value.code) == (409, "not_paid")
    assert (await written(shop, unpaid))[:2] == (0, 0)
    disputed = await shop.buy(await shop.learner())
    before = await written(shop, disputed)
    await shop.query("UPDATE orders SET dispute_state = 'open' WHERE id = %s RETURNING id", disputed["id"])
    with pytest.raises(ApiProblem) as refused:
        await adjust(operator, disputed, 100, "goodwill", **{"as": given_as})
    assert (refused.value.status, refused.value.code) == (409, "dispute_open")
    assert await written(shop, disputed) == before
    await shop.query("UPDATE orders SET dispute_state = 'none' WHERE id = %s RETURNING id", disputed["id"])
