"""`commerce verify` and `commerce reconcile` on a shop's day: clean; what an owner changed is named."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from domain import ids
from tests.ledger.books import Books
from tests.ledger.test_tampering import OPENED
from tests.planted.conftest import Owner
from tests.reconciliation.office import Office
from tests.workflows.bench import Bench, Placed, until
from tests.workflows.test_disputes import decided, disputed, told
from tests.workflows.test_earnings import complete
from tests.workflows.test_undone_sales import debited, refunded, returned

COURSE = "python-101"


@dataclass(frozen=True)
class Day:
    """A shop's orders."""

    released: Placed
    refunded: Placed
    refund_id: str
    disputed: Placed
    returned: Placed
    plain: Placed


async def a_day(bench: Bench) -> Day:
    """Sold, completed, released, refunded, disputed and lost, returned by the bank."""
    released = await bench.bought(COURSE)
    await complete(bench, released)
    await until(lambda: told(bench, released), lambda kinds: "earning.accrued" in kinds, "the accrual")
    line = await bench.one("SELECT id FROM order_line WHERE order_id = %s", released.id)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await bench.skipper.fast_forward(split, timedelta(days=40))
    await until(lambda: told(bench, released), lambda kinds: "earning.released" in kinds, "the release")
    back = await bench.bought(COURSE)
    refund_id = await refunded(bench, back, 1000)
    lost = await bench.bought(COURSE)
    made = await disputed(bench, lost)
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    undone = await debited(bench)
    assert (await returned(bench, undone)).startswith("undone")
    plain = await bench.bought(COURSE)
    await bench.take_events_in()
    return Day(released, back, refund_id, lost, undone, plain)


async def broken(bench: Bench) -> dict[str, list[str]]:
    """What does not hold, by the invariant's name."""
    return {
        name: finding.violations
        for name, finding in (await bench.findings()).items()
        if finding.violations or not finding.checked
    }


def entry(key: str) -> str:
    return f"(SELECT id FROM journal_entry WHERE event_key = '{key}')"


async def test_a_clean_day_and_each_tampering_named(office: Office, owner_of_own: Owner) -> None:
    bench = office.bench
    day = await a_day(bench)
    await Books(bench.resources.database, "").seal_all()
    await until(lambda: broken(bench), lambda found: not found, "clean books")
    report = await office.reconcile()
    assert (report.open, await office.open()) == (0, [])
    assert report.by_category["charge_failure"] == 1

    line = await bench.one("SELECT id FROM order_line WHERE order_id = %s", day.released.id)
    document = await bench.one(
        "SELECT number FROM document WHERE order_id = %s AND kind = 'invoice'", day.disputed.id
    )
    event = f"(SELECT id FROM outbound_event WHERE event_key = 'order:{day.refunded.id}:paid')"
    delivery = f"(SELECT id FROM webhook_delivery WHERE event_id = {event})"
    number = {
        order.id: (await bench.order(order.id)).number for order in (day.plain, day.refunded, day.disputed)
    }
    release = f"line:{line['id']}:released"
    tampered: list[tuple[tuple[str, ...], str, str]] = [
        (  # an altered posting, in balance
            (
                "UPDATE posting SET amount = amount * 2 WHERE entry_id = "
                + entry(f"order:{day.refunded.id}:captured"),
            ),
            "ledger.hash_chain",
            f"entry order:{day.refunded.id}:captured at position",
        ),
        (  # a deleted entry
            (
                f"DELETE FROM posting WHERE entry_id = {entry(release)}",
                f"DELETE FROM journal_entry WHERE event_key = '{release}'",
            ),
            "ledger.hash_chain",
            "was deleted",
        ),
        (  # an added entry
            (
                "INSERT INTO journal_entry (entity, event_key, kind, content_hash, occurred_at, "
                "effective_at) SELECT entity, 'forged', kind, content_hash, occurred_at, effective_at "
                "FROM journal_entry "
                f"WHERE event_key = 'order:{day.plain.id}:captured'",
                "INSERT INTO posting (entry_id, ordinal, account, currency, amount) "
                f"SELECT {entry('forged')}, n, a, 'USD', m FROM (VALUES (1, '1010', 500), (2, '5020', -500)) "
                "AS v (n, a, m)",
            ),
            "ledger.hash_chain",
            "entry forged",
        ),
        (  # an altered order amount
            (
                "UPDATE orders SET total = total + 1, amount_paid = amount_paid + 1 "
                f"WHERE id = '{day.plain.id}'",
            ),
            "ledger.capture_equals_paid",
            f"order {number[day.plain.id]} was paid",
        ),
        (  # an altered refund, with its sum on the order
            (
                f"UPDATE refund SET amount = amount + 1 WHERE id = '{day.refund_id}'",
                f"UPDATE orders SET amount_refunded = amount_refunded + 1 WHERE id = '{day.refunded.id}'",
            ),
            "refunds.as_posted",
            f"refund {day.refund_id} of order {number[day.refunded.id]}",
        ),
        (  # an altered split row
            (
                "UPDATE order_line SET ledger = jsonb_set(ledger, '{rows,0,amount}', to_jsonb("
                f"(ledger#>>'{{rows,0,amount}}')::int + 1)) WHERE id = '{line['id']}'",
            ),
            "splits.lines_agree",
            f"line {line['id']}",
        ),
        (  # a dropped event
            (
                f"DELETE FROM webhook_attempt WHERE delivery_id IN {delivery}",
                f"DELETE FROM webhook_delivery WHERE event_id = {event}",
                f"DELETE FROM outbound_event WHERE id = {event}",
            ),
            "outbox.streams_gapless",
            f"stream order/{day.refunded.id}",
        ),
        (  # a changed document
            (
                "UPDATE document SET body = jsonb_set(body, '{buyer,name}', '\"Somebody\"') "
                f"WHERE number = '{document['number']}'",
            ),
            "documents.unchanged",
            document["number"],
        ),
        (  # a changed seal
            (
                "UPDATE sealed_entry SET header_hash = repeat('0', 64) WHERE entry_id = "
                + entry(f"order:{day.disputed.id}:captured"),
            ),
            "ledger.hash_chain",
            f"entry order:{day.disputed.id}:captured at position",
        ),
    ]
    for statement in (
        *OPENED,
        *(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in ("document", "outbound_event")),
    ):
        await asyncio.to_thread(owner_of_own.execute, statement)
    for statements, _, _ in tampered:
        for statement in statements:
            await asyncio.to_thread(owner_of_own.execute, statement)
    found = await broken(bench)
    for _, name, words in tampered:
        assert any(words in one for one in found.get(name, [])), (name, words, found)

    await office.reconcile()
    assert {kind for kind, *_ in await office.open()} >= {"amount_differs", "transaction_missing"}
