"""Runs and their buyers, written by the product's own functions, without a checkout."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from activities.boundary import Transaction, Transactions
from activities.capture import Capture
from devstack.stripe_standin.control import StripeControl
from domain import ids
from domain.ledger import grant_goodwill
from domain.orders import FulfilmentState
from domain.resolutions import RunChangeKind
from integrations.payments import StripePayments
from models.database import Database, Session
from models.queries import catalog, ledger, order_lines, orders, payments, people, run_changes
from models.queries.catalog import Price
from models.queries.orders import NewOrder

PRICE, TAX = 5000, 444
CARD, CREDIT, NOTHING = "card", "credit", "nothing"


@dataclass
class Till:
    """What is needed to write sales: the product's database and books, and the processor."""

    database: Database
    transactions: Transactions
    capture: Capture
    api: StripePayments
    stripe: StripeControl


@dataclass(frozen=True)
class Buyer:
    """An order of one line, and how it was (or is to be) paid."""

    order_id: str
    user_id: str
    intent_id: str | None
    how: str
    currency: str


async def make_run(desk: Till, family: str, seats: int) -> str:
    """A dated run; returns its item."""
    item_id = str(uuid.uuid4())
    columns = {
        "slug": f"run-{item_id}",
        "type": "registration",
        "title": f"A run of {family}",
        "description": "",
        "lms_course_id": f"course-{item_id}",
        "run_of": family,
        "starts_at": datetime.now(UTC) + timedelta(days=60),
        "capacity": seats,
        "tax_code": "txcd_20060158",
    }
    async with desk.database.transaction() as session:
        await catalog.insert(session, item_id, columns, [Price("USD", PRICE), Price("EUR", PRICE)], [])
    return item_id


async def buyers_of(
    desk: Till,
    item_id: str,
    ways: list[str],
    *,
    paid: bool = True,
    currency: str = "USD",
    person: Callable[[], Awaitable[str]] | None = None,
) -> list[Buyer]:
    """A buyer for each way of paying; with `paid=False` the payment is still open.

    `person` makes each one's user; without it the LMS knows none of them.
    """
    gate = asyncio.Semaphore(8)

    async def stranger() -> str:
        async with desk.database.transaction() as session:
            return await _user(session)

    async def one(how: str) -> Buyer:
        async with gate:
            return await _buyer(desk, item_id, how, currency, await (person or stranger)(), paid=paid)

    made = list(await asyncio.gather(*(one(how) for how in ways)))
    async with desk.database.transaction() as session:
        for _ in made:  # at once: one after the other they would wait for each other's commit
            assert await catalog.take_seat(session, item_id)
    return made


async def _buyer(desk: Till, item_id: str, how: str, currency: str, user_id: str, *, paid: bool) -> Buyer:
    async with desk.database.transaction() as session:
        order_id = await orders.new_id(session)
    gross = 0 if how == NOTHING else PRICE + TAX
    intent_id = await _paid_by_card(desk, order_id, gross, currency) if how == CARD else None
    async with desk.transactions.begin() as tx:
        if how == CREDIT:
            given = grant_goodwill(str(uuid.uuid4()), user_id, amount=gross, currency=currency)
            await ledger.post(tx.session, given.entries, order_id=None, effective_at=datetime.now(UTC))
        buyer = Buyer(order_id, user_id, intent_id, how, currency)
        await _order(tx.session, buyer, item_id)
        if paid:
            await _apply(desk, tx, buyer)
    return buyer


async def pays(desk: Till, buyer: Buyer) -> None:
    """The money of an open order is there now."""
    async with desk.transactions.begin() as tx:
        await _apply(desk, tx, buyer)


async def _apply(desk: Till, tx: Transaction, buyer: Buyer) -> None:
    row = await orders.get(tx.session, buyer.order_id, lock=True)
    assert row is not None
    if buyer.intent_id is not None:
        payment = await payments.of_intent(tx.session, row.id, buyer.intent_id, row.total, row.currency)
        await payments.set_succeeded(
            tx.session, payment.id, charge_id=None, amount=row.total, currency=row.currency, applied=True
        )
    await desk.capture.become_paid(tx, row, how="Paid.")
    await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLED)


async def _paid_by_card(desk: Till, order_id: str, amount: int, currency: str) -> str:
    intent = await desk.api.create_intent(
        order_id=order_id,
        amount=amount,
        currency=currency,
        idempotency_key=ids.intent_key(order_id, 1),
        description="A run",
    )
    await desk.stripe.confirm(intent.id, "pm_card_visa")
    return intent.id


async def _user(session: Session) -> str:
    name = uuid.uuid4().hex
    user = await people.remember(
        session, lms_user_id=name, username=name, email=None, full_name="", roles=["learner"]
    )
    return user.id


async def _order(session: Session, buyer: Buyer, item_id: str) -> None:
    cart = await session.execute(
        text("INSERT INTO cart (user_id, open) VALUES (:id, false) RETURNING id"), {"id": buyer.user_id}
    )
    free = buyer.how == NOTHING
    discount, tax = (PRICE, 0) if free else (0, TAX)
    net = PRICE - discount
    await orders.insert(
        session,
        NewOrder(
            id=buyer.order_id,
            user_id=buyer.user_id,
            cart_id=str(cart.scalar_one()),
            currency=buyer.currency,
            subtotal=PRICE,
            discount=discount,
            tax=tax,
            total=net + tax,
            promo_codes=(),
            billing_address={"country": "US"},
            return_url=None,
            window_seconds=1800,
            store_credit=net + tax if buyer.how == CREDIT else 0,
        ),
    )
    item = await catalog.find(session, item_id)
    assert item is not None
    line: dict[str, Any] = {
        "ordinal": 1,
        "item_id": item_id,
        "bundle_id": None,
        "title": item.title,
        "lms_course_id": item.lms_course_id,
        "unit_price": PRICE,
        "list_net": PRICE,
        "discount_net": discount,
        "net": net,
        "tax": tax,
        "gross": net + tax,
        "taxes": [] if free else [{"jurisdiction": "US-NY", "ppm": 88_800, "amount": tax}],
        "holds_seat": True,
        "platform_discount": 0,
        "presentation": "principal",
        "recognition": "on_payment" if buyer.how == CREDIT else "on_completion",
        "refund_window_days": 14,
        "hold_seconds": 0,
        "release": "after_hold",
        "split_rule_id": None,
        "split": {"shares": [{"payee": "teacher", "bps": 7000}]},
    }
    await order_lines.insert(session, buyer.order_id, line)


async def change_run(desk: Till, item_id: str, kind: RunChangeKind = RunChangeKind.CANCELLED) -> str:
    """What the operator's request writes; returns the change."""
    change_id = str(uuid.uuid4())
    async with desk.database.transaction() as session:
        item = await catalog.find(session, item_id, lock=True)
        assert item is not None
        new_date = None
        columns: dict[str, Any] = {"cancelled_at": datetime.now(UTC), "available": False}
        if kind is RunChangeKind.RESCHEDULED:
            new_date = datetime.now(UTC) + timedelta(days=90)
            columns = {"starts_at": new_date}
        await catalog.update(session, item.id, item.version, columns)
        change = {
            "id": change_id,
            "item_id": item.id,
            "kind": kind,
            "reason": "the teacher is ill",
            "started_at": item.starts_at,
            "starts_at": new_date,
            "requested_by": await _user(session),
        }
        await run_changes.insert(session, change, days=7)
    return change_id
