"""The whole path over HTTP, on the running product."""

import asyncio
import re

import psycopg

from devstack.shopper import ApiProblem, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean


async def test_a_paid_course_is_granted_and_booked(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")
    cart = await learner.promo("WELCOME10")
    assert cart["totals"]["discount"]["amount"] * 10 == cart["totals"]["subtotal"]["amount"]
    answer = await learner.checkout()
    order = answer["order"]
    assert order["status"] == "pending_payment"
    assert order["total"]["amount"] == (
        order["subtotal"]["amount"] - order["discount"]["amount"] + order["tax"]["amount"]
    )
    declined = await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_chargeDeclined")
    assert declined["error"]["code"] == "card_declined"
    assert (await learner.order(order["id"]))["status"] == "pending_payment"
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(order["id"], "fulfilled")
    assert order["amount_paid"] == order["total"]
    assert order["entitlements"][0]["status"] == "granted"
    assert await shop.lms.enrolments(learner.user["lms_user_id"], "python-101")
    journals = await shop.query(
        "SELECT kind, (SELECT sum(amount) FROM posting WHERE entry_id = e.id AND amount > 0) AS debit "
        "FROM journal_entry e WHERE order_id = %s ORDER BY id",
        order["id"],
    )
    assert {"kind": "payment_captured", "debit": order["total"]["amount"]} in journals
    kinds = [event["kind"] for event in await learner.timeline(order["id"])]
    assert kinds[0] == "order_placed"
    assert "order_paid" in kinds
    assert kinds[-1] == "order_fulfilled"


async def test_a_connection_that_breaks_while_the_intent_is_read_is_tried_again(shop: Shop) -> None:
    learner = await shop.learner()
    await shop.stripe.fault("GET", "/v1/payment_intents/*", "cut_before", count=1)
    answer = await shop.place(learner)
    assert answer["payment"]["client_secret"]
    assert await shop.stripe.faults() == []


async def test_three_d_secure_and_its_failure(shop: Shop) -> None:
    learner = await shop.learner()
    answer = await shop.place(learner)
    intent = answer["payment"]["payment_intent_id"]
    assert (await shop.stripe.confirm(intent, "pm_card_threeDSecure2Required"))["status"] == "requires_action"
    await shop.stripe.fail_three_d_secure(intent)
    assert (await learner.order(answer["order"]["id"]))["status"] == "pending_payment"
    await shop.stripe.confirm(intent, "pm_card_threeDSecure2Required")
    await shop.stripe.finish_three_d_secure(intent)
    await learner.wait_for_status(answer["order"]["id"], "fulfilled")


async def test_a_free_order_skips_the_processor(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")
    await learner.promo("FREE100")
    answer = await learner.checkout()
    assert answer["payment"] is None
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    assert order["total"]["amount"] == 0
    assert order["payments"] == []
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")
    entries = await wait_for(
        lambda: shop.query("SELECT kind FROM journal_entry WHERE order_id = %s", order["id"]),
        bool,
        what="the ledger's trace of the free order",
    )
    assert [entry["kind"] for entry in entries] == ["revenue_recognized"]


async def test_order_numbers_go_on_after_six_digits(shop: Shop) -> None:
    owner = shop.stack.urls.owner_url.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(owner) as connection:
        await connection.execute("SELECT setval('order_number_seq', 1000000)")
    numbers = [(await shop.place(await shop.learner()))["order"]["number"] for _ in range(2)]
    assert [re.sub(r"^C-\d{4}-", "", number) for number in numbers] == ["1000001", "1000002"]


async def test_a_slow_method_holds_the_order_until_the_processor_decides(shop: Shop) -> None:
    learner = await shop.learner()
    answer = await shop.place(learner)
    intent = answer["payment"]["payment_intent_id"]
    await shop.stripe.confirm(intent, "pm_usBankAccount_processing")

    async def state() -> str:
        rows = await shop.query("SELECT payment_state FROM orders WHERE id = %s", answer["order"]["id"])
        return str(rows[0]["payment_state"])

    await wait_for(state, lambda s: s == "processing", what="processing")
    try:
        await learner.call("POST", f"/v1/orders/{answer['order']['id']}/cancel", {})
    except ApiProblem as problem:
        assert problem.code == "order_not_cancelable"
    else:
        raise AssertionError("a payment under way can't be canceled")
    await shop.stripe.settle(intent)
    await learner.wait_for_status(answer["order"]["id"], "fulfilled")


async def test_cancel_gives_seat_and_cart_back(shop: Shop) -> None:
    operator = await shop.operator()
    slug = await shop.seat(operator, capacity=1)
    first, second = await shop.learner("first"), await shop.learner("second")
    answer = await shop.place(first, slug)
    assert (await operator.item(slug))["seats_left"] == 0
    canceled = await first.call("POST", f"/v1/orders/{answer['order']['id']}/cancel", {})
    assert canceled["status"] == "canceled"
    assert (await operator.item(slug))["seats_left"] == 1
    assert len((await first.call("GET", "/v1/cart"))["lines"]) == 1
    await shop.buy(second, slug)


async def test_two_tabs_make_one_order(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")

    async def attempt() -> str:
        try:
            return str((await learner.checkout())["order"]["id"])
        except ApiProblem as problem:
            return problem.code

    outcomes = await asyncio.gather(attempt(), attempt())
    assert sorted(outcome == "cart_empty" for outcome in outcomes) == [False, True]


async def test_completion_accrues_and_releases_the_earnings(shop: Shop) -> None:
    learner = await shop.learner()
    order = await shop.buy(learner)
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")

    async def earned(kind: str) -> list[dict[str, object]]:
        received = [event.body["data"] for event in await shop.payout.events(type=kind)]
        return [data for data in received if data.get("order_id") == order["id"]]

    accrued = await wait_for(lambda: earned("earning.accrued"), bool, what="accrual")
    released = await wait_for(
        lambda: earned("earning.released"), lambda e: len(e) == len(accrued), what="release"
    )
    assert {(e["payee_ref"], e["amount"]) for e in accrued} == {
        (e["payee_ref"], e["amount"]) for e in released
    }
    relayed = [
        event
        for event in await shop.payout.events(type="course.completed")
        if event.body["data"]["lms_user_id"] == learner.user["lms_user_id"]
    ]
    assert len(relayed) == 1


async def test_a_full_refund_revokes_and_reverses(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    refund = await operator.refund(order["id"])
    assert refund["amount"] == order["amount_paid"]
    refunded = await learner.wait_for_status(order["id"], "refunded")
    assert refunded["amount_refunded"] == refunded["amount_paid"]
    await wait_for(
        lambda: learner.order(order["id"]),
        lambda o: o["entitlements"][0]["status"] == "revoked",
        what="revocation",
    )
    assert not await shop.lms.enrolments(learner.user["lms_user_id"], "python-101")
    left = await shop.query(
        "SELECT account, sum(amount) AS amount FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
        "WHERE e.order_id = %s GROUP BY account HAVING sum(amount) <> 0 ORDER BY account",
        order["id"],
    )
    # Only the processor's fee stays: it is not given back.
    assert [row["account"] for row in left] == ["1010", "5020"]
    note = await learner.send("GET", f"/v1/orders/{order['id']}/credit-notes/{refund['id']}.pdf")
    assert note.content.startswith(b"%PDF")


async def test_a_refund_beyond_what_was_paid_is_refused(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    await operator.refund(order["id"])
    try:
        await operator.refund(order["id"])
    except ApiProblem as problem:
        assert (problem.status, problem.code) == (409, "refund_exceeds_paid")
    else:
        raise AssertionError("a second full refund must be refused")


async def test_an_lms_refusal_ends_in_fulfillment_failed_and_can_be_retried(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    answer = await shop.place(learner)
    await shop.lms.suspend(learner.user["lms_user_id"])
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await operator.wait_for_status(answer["order"]["id"], "fulfillment_failed")
    assert order["entitlements"][0]["failure_detail"]
    await shop.lms.suspend(learner.user["lms_user_id"], suspended=False)
    await operator.call("POST", f"/v1/entitlements/{order['entitlements'][0]['id']}/retry", {})
    await operator.wait_for_status(order["id"], "fulfilled")


async def test_everything_that_happened_here_holds_before_the_oracle(shop: Shop) -> None:
    await assert_clean(shop.stack)


async def test_shoppers_do_not_see_each_other(shop: Shop) -> None:
    learner, stranger = await shop.learner(), await shop.learner()
    order = await shop.buy(learner)
    for path in ("", "/timeline", "/receipt.pdf"):
        assert (await stranger.send("GET", f"/v1/orders/{order['id']}{path}")).status_code == 404
    anonymous = Shopper(shop.gateway)
    assert (await anonymous.send("GET", f"/v1/orders/{order['id']}")).status_code == 401
