"""The payout receiver: takes each of our events once, knows what it owes, and pays."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from integrations.outbound import DeliveryResult, OutboundHttp
from integrations.webhook_verification import verify_standard
from tests.integrations.conftest import EVENT_SECRET, PAYOUT_SECRET, PayoutParts
from tests.lms.waiting import until

STREAM = "payee/p1/USD"


@pytest.fixture(scope="module")
async def http() -> Any:
    client = OutboundHttp(allow_private=True, timeout_seconds=1)
    yield client
    await client.aclose()


def event(number: int, event_type: str, **data: Any) -> dict[str, Any]:
    """One of our events."""
    return {
        "id": f"evt_{number}",
        "type": event_type,
        "created_at": "2027-01-01T00:00:00Z",
        "api_version": "2026-11-01",
        "stream": STREAM,
        "stream_seq": number,
        "data": {"payee_ref": "p1", "currency": "USD", **data},
    }


async def send(
    http: OutboundHttp, payout: PayoutParts, body: dict[str, Any], *, secret: str = EVENT_SECRET
) -> DeliveryResult:
    """Deliver it as the product does."""
    raw = json.dumps(body).encode()
    return await http.deliver(payout.control.webhook_url, str(body["id"]), raw, [secret], datetime.now(UTC))


async def test_events_are_kept_in_order_of_arrival(http: OutboundHttp, payout: PayoutParts) -> None:
    for number in (1, 3, 2):
        assert (await send(http, payout, event(number, "earning.accrued", amount=100))).delivered
    await send(http, payout, event(4, "order.paid") | {"stream": "order/1", "stream_seq": 1})
    received = await payout.control.events()
    assert [found.webhook_id for found in received] == ["evt_1", "evt_3", "evt_2", "evt_4"]
    assert received[0].body == event(1, "earning.accrued", amount=100)
    assert [found.webhook_id for found in await payout.control.events(type="order.paid")] == ["evt_4"]
    assert len(await payout.control.events(stream=STREAM)) == 3
    streams = {found.stream: found for found in await payout.control.streams()}
    assert streams[STREAM].seqs == [1, 3, 2]
    assert not streams[STREAM].in_order_without_gaps
    assert streams["order/1"].in_order_without_gaps


async def test_a_duplicate_is_acknowledged_and_counts_once(http: OutboundHttp, payout: PayoutParts) -> None:
    for _ in range(5):
        assert (await send(http, payout, event(1, "earning.accrued", amount=100))).delivered
    assert len(await payout.control.events()) == 1
    (balance,) = await payout.control.payees()
    assert balance.accrued == 100
    outcomes = [attempt.outcome for attempt in await payout.control.attempts("evt_1")]
    assert outcomes == ["stored"] + ["duplicate"] * 4


async def test_balances_follow_the_earnings_of_each_payee_and_currency(
    http: OutboundHttp, payout: PayoutParts
) -> None:
    story = [
        event(1, "earning.accrued", amount=1000),
        event(2, "earning.accrued", amount=500),
        event(3, "earning.released", amount=1000),
        event(4, "earning.reversed", amount=200, bucket="held"),
        event(5, "earning.reversed", amount=300, bucket="released"),
        event(6, "earning.frozen"),
        event(7, "earning.accrued", amount=70, currency="JPY"),
        event(8, "earning.accrued", amount=9, payee_ref="p2"),
        event(9, "course.completed"),
    ]
    for one in story:
        assert (await send(http, payout, one)).delivered
    await payout.control.settle("p1", "USD", 600)
    balances = {(row.payee_ref, row.currency): row for row in await payout.control.payees()}
    usd = balances["p1", "USD"]
    assert (usd.accrued, usd.released, usd.reversed_held, usd.reversed_released) == (1500, 1000, 200, 300)
    assert (usd.held, usd.payable, usd.settled, usd.frozen) == (300, 100, 600, 1)
    assert balances["p1", "JPY"].held == 70
    assert balances["p2", "USD"].held == 9


@pytest.mark.parametrize(
    "data",
    [{}, {"amount": 0}, {"amount": -1}, {"amount": "5"}, {"amount": 1.5}, {"amount": True}, {"amount": None}],
)
async def test_an_earning_that_makes_no_sense_is_refused_and_not_kept(
    http: OutboundHttp, payout: PayoutParts, data: dict[str, Any]
) -> None:
    assert (await send(http, payout, event(1, "earning.accrued", **data))).status_code == 422
    assert (await send(http, payout, event(2, "earning.reversed", amount=5, bucket="?"))).status_code == 422
    assert await payout.control.events() == []
    assert await payout.control.payees() == []


async def test_what_is_not_signed_by_us_now_is_refused(http: OutboundHttp, payout: PayoutParts) -> None:
    body = event(1, "earning.accrued", amount=100)
    assert (await send(http, payout, body, secret=PAYOUT_SECRET)).status_code == 400
    raw = json.dumps(body).encode()
    url = payout.control.webhook_url
    for age in (timedelta(seconds=310), timedelta(seconds=-310)):
        late = await http.deliver(url, "evt_1", raw, [EVENT_SECRET], datetime.now(UTC) - age)
        assert late.status_code == 400
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        for headers in ({}, {"webhook-id": "x"}, {"webhook-signature": "v1"}):
            assert (await client.post(url, content=b"\xff", headers=headers)).status_code == 400
    assert await payout.control.events() == []
    assert {attempt.outcome for attempt in await payout.control.attempts()} == {"bad_signature"}


async def test_secrets_can_be_exchanged_and_several_accepted(http: OutboundHttp, payout: PayoutParts) -> None:
    await payout.control.set_secrets(PAYOUT_SECRET)
    assert not (await send(http, payout, event(1, "order.paid"))).delivered
    assert (await send(http, payout, event(2, "order.paid"), secret=PAYOUT_SECRET)).delivered
    await payout.control.set_secrets(PAYOUT_SECRET, EVENT_SECRET)
    assert (await send(http, payout, event(3, "order.paid"))).delivered


@pytest.mark.parametrize("status", [302, 400, 410, 429, 500, 503])
async def test_faults_answer_what_was_asked_for(http: OutboundHttp, payout: PayoutParts, status: int) -> None:
    await payout.control.fault(status=status, retry_after="9", location="http://127.0.0.1:9/")
    failed = await send(http, payout, event(1, "order.paid"))
    assert (failed.status_code, failed.retry_after_seconds, failed.delivered) == (status, 9.0, False)
    assert await payout.control.events() == []
    assert (await send(http, payout, event(1, "order.paid"))).delivered


async def test_faults_can_lose_the_answer_only(http: OutboundHttp, payout: PayoutParts) -> None:
    await payout.control.fault(status=500, after_effect=True)
    await payout.control.fault(cut=True, after_effect=True)
    assert (await send(http, payout, event(1, "order.paid"))).status_code == 500
    assert (await send(http, payout, event(1, "order.paid"))).status_code is None
    assert len(await payout.control.events()) == 1
    assert (await send(http, payout, event(1, "order.paid"))).delivered


async def test_faults_match_type_and_stream_and_last_until_cleared(
    http: OutboundHttp, payout: PayoutParts
) -> None:
    await payout.control.fault(status=503, type="order.paid", stream=STREAM, count=None)
    assert (await send(http, payout, event(1, "order.fulfilled"))).delivered
    assert (await send(http, payout, event(2, "order.paid") | {"stream": "order/2"})).delivered
    for _ in range(3):
        assert not (await send(http, payout, event(3, "order.paid"))).delivered
    await payout.control.clear_faults()
    assert (await send(http, payout, event(3, "order.paid"))).delivered


async def test_latency_beyond_our_patience_is_no_delivery(http: OutboundHttp, payout: PayoutParts) -> None:
    await payout.control.fault(latency_seconds=1.2)
    assert (await send(http, payout, event(1, "order.paid"))).status_code is None


async def test_a_payout_is_told_by_a_signed_event_until_it_is_taken(payout: PayoutParts) -> None:
    payout.sink.statuses = [503, 500]
    settled = await payout.control.settle("p1", "USD", 4200)
    await until(lambda: len(payout.sink.requests) == 3, "the third attempt arrives")
    for request in payout.sink.requests:
        Webhook(PAYOUT_SECRET).verify(request.body, request.headers)
        told = verify_standard(request.body, request.headers, [PAYOUT_SECRET], int(time.time()))
        assert (told["id"], told["type"]) == (settled.event_id, "payout.settled")
        assert told["data"] == {
            "payout_id": settled.payout_id,
            "payee_ref": "p1",
            "currency": "USD",
            "amount": 4200,
        }
    await asyncio.sleep(0.05)
    assert [delivery.state for delivery in await payout.control.deliveries()] == ["delivered"]


@pytest.mark.parametrize("amount", [0, -5])
async def test_a_payout_of_nothing_is_refused(payout: PayoutParts, amount: int) -> None:
    with pytest.raises(RuntimeError, match="positive"):
        await payout.control.settle("p1", "USD", amount)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_everything_is_there_after_a_restart(http: OutboundHttp, payout: PayoutParts, how: str) -> None:
    payout.sink.statuses = [500] * 1000
    await payout.control.set_secrets(PAYOUT_SECRET)
    for number in range(1, 6):
        await send(http, payout, event(number, "earning.accrued", amount=100), secret=PAYOUT_SECRET)
    settled = await payout.control.settle("p1", "USD", 50)
    before = (await payout.control.events(), await payout.control.payees())
    if how == "kill":
        payout.process.kill()
    else:
        assert payout.process.stop() < 5
    payout.sink.reset()
    payout.process.start()
    assert (await payout.control.events(), await payout.control.payees()) == before
    assert (await send(http, payout, event(5, "order.paid"), secret=PAYOUT_SECRET)).delivered
    assert len(await payout.control.events()) == 5
    await until(lambda: len(payout.sink.requests) == 1, "the pending payout.settled arrives")
    assert payout.sink.requests[0].headers["webhook-id"] == settled.event_id


async def test_the_page_shows_balances_and_events_and_pays_out(
    http: OutboundHttp, payout: PayoutParts
) -> None:
    await send(http, payout, event(1, "earning.accrued", amount=100, payee_ref="<b>x"))
    await send(http, payout, event(2, "earning.released", amount=100, payee_ref="<b>x"))
    async with httpx.AsyncClient(
        base_url=payout.process.base_url, follow_redirects=True, trust_env=False, verify=False
    ) as browser:
        page = (await browser.get("/")).text
        assert "&lt;b&gt;x" in page
        assert "<b>" not in page
        assert "earning.released" in page
        assert "Pay out" in page
        form = {"payee_ref": "<b>x", "currency": "USD", "amount": "100"}
        assert "Pay out" not in (await browser.post("/settle", data=form)).text
    await until(lambda: len(payout.sink.requests) == 1, "payout.settled arrives")
