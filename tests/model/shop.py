"""Orders in a real database: each event is one transaction of rows, ledger entries and outbox events."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, TypeVar

import psycopg
from sqlalchemy import text
from temporalio.client import Client

from activities.boundary import Transaction, Transactions
from activities.earnings import capture_order, ledger_of, post_outcome
from domain.ledger import LineLedger, Outcome
from integrations.dispatch import Dispatcher
from models.database import Database
from models.queries import invariants, ledger, order_lines, orders
from models.queries.order_lines import LineRow
from models.queries.orders import NewOrder, OrderRow
from tests.model.plain import Key, PlainLine

T = TypeVar("T")
LINE_BY_LINE = ("ledger.entries_balance", "ledger.sums_to_zero", "ledger.facts_posted_once")


class DatabaseShop:
    """Blocking calls, for a test machine that knows no event loop; close it at the end."""

    def __init__(self, database_url: str) -> None:
        self._runner = asyncio.Runner()
        self._database = Database(database_url, pool_size=2)
        self._transactions = self._run(self._open)
        self._user, self._item = self._run(self._someone)
        plain_url = database_url.replace("postgresql+psycopg://", "postgresql://")
        self._reader = psycopg.connect(plain_url, autocommit=True)

    def close(self) -> None:
        """Close connections and the loop."""
        self._reader.close()
        self._run(self._database.aclose)
        self._runner.close()

    def place(self, currency: str, lines: Sequence[PlainLine]) -> "PlacedOrder":
        """An order of these lines, paid and captured."""
        order_id, names = self._run(lambda: self._place(currency, lines))
        return PlacedOrder(self, order_id, names)

    def violations(self) -> list[str]:
        """What the ledger's own invariants say about the whole database."""

        async def ask() -> list[str]:
            async with self._database.transaction() as session:
                return [
                    violation
                    for invariant in invariants.DATABASE_INVARIANTS
                    if invariant.name in LINE_BY_LINE
                    for violation in (await session.execute(text(invariant.query))).scalars()
                ]

        return self._run(ask)

    def apply(self, order_id: str, event: Callable[[list[LineLedger]], Outcome]) -> Outcome:
        """One event on an order: lock, load, compute, post, keep; as every activity does it."""

        async def run() -> Outcome:
            async with self._transactions.begin() as tx:
                order, lines = await _locked(tx, order_id)
                outcome = event([ledger_of(line, order.currency) for line in lines])
                await post_outcome(tx, outcome, order, lines, reason="model")
                return outcome

        return self._run(run)

    def post(self, order_id: str, outcome: Outcome) -> None:
        """An event that concerns no line."""

        async def run() -> None:
            async with self._transactions.begin() as tx:
                await ledger.post(
                    tx.session, outcome.entries, order_id=order_id, effective_at=datetime.now(UTC)
                )

        self._run(run)

    def balances(self, order_id: str) -> Counter[Key]:
        """What the ledger has for the order, by account and sub; zeros left out."""
        rows = self._query(
            "SELECT p.account, p.sub, sum(p.amount) FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
            "WHERE e.order_id = %(id)s GROUP BY 1, 2 HAVING sum(p.amount) <> 0",
            order_id,
        )
        return Counter({(account, sub): int(amount) for account, sub, amount in rows})

    def told(self, order_id: str) -> Counter[Key]:
        """What the published earning events come to in 2210 and 2220; zeros left out."""
        found: Counter[Key] = Counter()
        for kind, data in self._query(
            "SELECT type, data FROM outbound_event "
            "WHERE data->>'order_id' = %(id)s AND type LIKE 'earning.%%'",
            order_id,
        ):
            payee, amount = data["payee_ref"], data["amount"]
            if kind == "earning.accrued":
                found["2210", payee] -= amount
            elif kind == "earning.released":
                found["2210", payee] += amount
                found["2220", payee] -= amount
            elif kind == "earning.reversed":
                found["2210" if data["bucket"] == "held" else "2220", payee] += amount
        return Counter({key: amount for key, amount in found.items() if amount})

    def _query(self, sql: LiteralString, order_id: str) -> list[tuple[Any, ...]]:
        return self._reader.execute(sql, {"id": order_id}).fetchall()

    def _run(self, what: Callable[[], Awaitable[T]]) -> T:
        async def call() -> T:
            return await what()

        return self._runner.run(call())

    async def _open(self) -> Transactions:
        nobody = await Client.connect("127.0.0.1:1", lazy=True)  # no endpoint is there, so nobody is woken
        return Transactions(self._database, Dispatcher(nobody, "unused"))

    async def _someone(self) -> tuple[str, str]:
        async with self._database.transaction() as session:
            user = (
                await session.execute(
                    text(
                        "INSERT INTO commerce_user (lms_user_id, username, full_name, roles) "
                        "VALUES (:id, :id, '', '{}') RETURNING id"
                    ),
                    {"id": f"model-{uuid.uuid4()}"},
                )
            ).scalar_one()
            item = (
                await session.execute(
                    text(
                        "INSERT INTO catalog_item (slug, type, title, description, lms_course_id, tax_code) "
                        "VALUES (:slug, 'course', 'Model', '', 'model', '') RETURNING id"
                    ),
                    {"slug": f"model-{uuid.uuid4()}"},
                )
            ).scalar_one()
            return str(user), str(item)

    async def _place(self, currency: str, lines: Sequence[PlainLine]) -> tuple[str, dict[str, str]]:
        order_id, names = str(uuid.uuid4()), {}
        async with self._transactions.begin() as tx:
            cart = (
                await tx.session.execute(
                    text("INSERT INTO cart (user_id, open) VALUES (:user, false) RETURNING id"),
                    {"user": self._user},
                )
            ).scalar_one()
            total = sum(line.gross for line in lines)
            await orders.insert(
                tx.session,
                NewOrder(
                    id=order_id,
                    user_id=self._user,
                    cart_id=str(cart),
                    currency=currency,
                    subtotal=sum(line.list_net for line in lines),
                    discount=sum(line.list_net - line.net for line in lines),
                    tax=total - sum(line.net for line in lines),
                    total=total,
                    promo_codes=(),
                    billing_address={},
                    return_url=None,
                    window_seconds=60,
                ),
            )
            for ordinal, line in enumerate(lines, start=1):
                names[line.name] = await order_lines.insert(
                    tx.session, order_id, _columns(ordinal, line, self._item)
                )
            await orders.set_paid(tx.session, order_id)
            order = await orders.get(tx.session, order_id, lock=True)
            assert order is not None
            await capture_order(tx, order)
        return order_id, names


class PlacedOrder:
    """One order in the database; lines go by the names of the model."""

    def __init__(self, shop: DatabaseShop, order_id: str, names: dict[str, str]) -> None:
        self.shop, self.id, self.names = shop, order_id, names

    def apply(self, event: Callable[[list[LineLedger]], Outcome]) -> Outcome:
        """One event on all lines."""
        return self.shop.apply(self.id, event)

    def on_line(self, name: str, event: Callable[[LineLedger], Outcome]) -> Outcome:
        """One event on one line."""
        return self.apply(lambda lines: event(next(s for s in lines if s.line == self.names[name])))

    def balances(self) -> Counter[Key]:
        """The ledger's balances, lines by the model's names."""
        by_id = {line_id: name for name, line_id in self.names.items()}
        found = self.shop.balances(self.id)
        return Counter({(account, by_id.get(sub or "", sub)): v for (account, sub), v in found.items()})


async def _locked(tx: Transaction, order_id: str) -> tuple[OrderRow, list[LineRow]]:
    order = await orders.get(tx.session, order_id, lock=True)
    assert order is not None
    return order, await order_lines.of_order(tx.session, order_id, lock=True)


def _columns(ordinal: int, line: PlainLine, item: str) -> dict[str, object]:
    split = {
        "off_top": [{"payee": payee, "bps": bps} for payee, bps in line.off_top],
        "fixed": [{"payee": payee, "amount": amount} for payee, amount in line.fixed],
        "shares": [{"payee": payee, "bps": bps} for payee, bps in line.shares],
    }
    return {
        "ordinal": ordinal,
        "item_id": item,
        "bundle_id": None,
        "title": line.name,
        "lms_course_id": "model",
        "unit_price": line.list_net,
        "list_net": line.list_net,
        "discount_net": line.list_net - line.net,
        "net": line.net,
        "tax": line.gross - line.net,
        "gross": line.gross,
        "taxes": [{"jurisdiction": name, "amount": amount} for name, amount in line.taxes],
        "holds_seat": False,
        "platform_discount": 0,
        "presentation": "principal",
        "recognition": "on_completion",
        "refund_window_days": 14,
        "hold_seconds": 0,
        "release": "after_hold",
        "split_rule_id": None,
        "split": json.loads(json.dumps(split)),
    }
