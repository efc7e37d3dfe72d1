"""Numbers of documents: without a gap and without a double, whatever happens around them."""

import asyncio
import hashlib
import random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from integrations.documents.receipt import ReceiptDocument, render_receipt_pdf
from models.database import Database, Session
from models.queries import documents, invariants
from models.queries.documents import Draft, Issued
from tests.documents.samples import UK_VAT, document, line

ABORTED = 40


class Aborted(Exception):
    """The transaction fails after it took a number."""


@pytest.fixture(scope="module")
async def store(database_url: str) -> Any:
    found = Database(database_url, pool_size=16)
    yield found
    await found.aclose()


async def make_orders(store: Database, count: int) -> list[str]:
    """Paid-for orders, as far as a document cares."""
    async with store.transaction() as session:
        rows = await session.execute(
            text(
                "WITH person AS (INSERT INTO commerce_user (lms_user_id, username, email, full_name, roles) "
                "VALUES (gen_random_uuid()::text, 'ann', 'ann@example.com', 'Ann', '{}') RETURNING id), "
                "carts AS (INSERT INTO cart (user_id, open) SELECT person.id, false FROM person, "
                "generate_series(1, :count) RETURNING id, user_id) "
                "INSERT INTO orders (id, number, user_id, cart_id, currency, subtotal, discount, tax, total, "
                "billing_address, expires_at) SELECT uuidv7(), id::text, user_id, id, 'EUR', 1, 0, 0, 1, "
                "'{}', now() FROM carts RETURNING id"
            ),
            {"count": count},
        )
        return [str(row.id) for row in rows]


def draft(order_id: str, *, country: str = "DE", kind: str = "invoice", **changes: Any) -> Draft:
    content = document(
        line("Course", 4900, taxes=UK_VAT),
        kind=kind,
        number="",
        issued_at="2026-03-01T09:30:00+00:00",
        **changes,
    )
    return Draft(kind, country, order_id, content.to_json())


async def series(session: Session, country: str) -> tuple[list[int], int]:
    """Serials in order, and where the counter stands."""
    serials = await session.execute(
        text("SELECT serial FROM document WHERE country = :c ORDER BY serial"), {"c": country}
    )
    counter = await session.execute(
        text("SELECT coalesce(sum(last_serial), 0) FROM document_counter WHERE country = :c"), {"c": country}
    )
    return [row.serial for row in serials], int(counter.scalar_one())


async def test_two_hundred_at_once_have_numbers_without_a_gap_or_a_double(store: Database) -> None:
    """Forty of the transactions are rolled back after they took a number: nobody misses theirs."""
    order_ids = await make_orders(store, 200 + ABORTED)
    fails = set(random.Random(20260301).sample(order_ids, ABORTED))

    async def issue(order_id: str) -> None:
        async with store.transaction() as session:
            assert await documents.issue(session, draft(order_id)) is not None
            if order_id in fails:
                raise Aborted

    outcomes = await asyncio.gather(*(issue(order_id) for order_id in order_ids), return_exceptions=True)
    assert sum(isinstance(outcome, Aborted) for outcome in outcomes) == ABORTED
    assert sum(outcome is None for outcome in outcomes) == 200
    async with store.transaction() as session:
        serials, counter = await series(session, "DE")
        assert serials == list(range(1, 201))
        assert counter == 200
        numbers = await session.execute(
            text("SELECT number FROM document WHERE serial IN (1, 200) ORDER BY serial")
        )
        assert [row.number for row in numbers] == ["INV-DE-2026-000001", "INV-DE-2026-000200"]


async def test_a_document_is_issued_once_and_a_repeat_takes_no_number(store: Database) -> None:
    (order_id,) = await make_orders(store, 1)

    async def issue(country: str) -> Issued | None:
        async with store.transaction() as session:
            return await documents.issue(session, draft(order_id, country=country))

    found = await asyncio.gather(*(issue("FR") for _ in range(32)), return_exceptions=True)
    made = [answer for answer in found if isinstance(answer, Issued)]
    assert made == [Issued("INV-FR-2026-000001", None)]
    assert all(answer is None or isinstance(answer, Issued | DBAPIError) for answer in found)
    assert await issue("FR") is None
    async with store.transaction() as session:
        assert await series(session, "FR") == ([1], 1)


async def test_each_country_kind_and_year_counts_for_itself(store: Database) -> None:
    order_ids = await make_orders(store, 4)
    async with store.transaction() as session:
        found = [
            await documents.issue(session, draft(order_ids[0], country="AT")),
            await documents.issue(session, draft(order_ids[1], country="AT")),
            await documents.issue(session, draft(order_ids[2], country="US", kind="receipt")),
        ]
        next_year = draft(order_ids[3], country="AT")
        next_year.body["issued_at"] = "2027-01-01T00:00:00+00:00"
        found.append(await documents.issue(session, next_year))
    assert [issued.number for issued in found if issued is not None] == [
        "INV-AT-2026-000001",
        "INV-AT-2026-000002",
        "R-US-2026-000001",
        "INV-AT-2027-000001",
    ]


async def test_a_number_beyond_six_digits_is_whole(store: Database) -> None:
    (order_id,) = await make_orders(store, 1)
    async with store.transaction() as session:
        await session.execute(
            text("INSERT INTO document_counter VALUES ('main', 'IT', 'invoice', 2026, 1234566)")
        )
        issued = await documents.issue(session, draft(order_id, country="IT"))
    assert issued == Issued("INV-IT-2026-1234567", None)


async def test_what_is_stored_has_its_hash_and_names_nobody_elses_number(store: Database) -> None:
    """Odd content, quotes and a text that looks like the place of the number, comes back as it went in."""
    (order_id,) = await make_orders(store, 1)
    odd = draft(order_id, country="ES", notes=('"number":"" \\ 王 €', "{number} %s :before"))
    async with store.transaction() as session:
        issued = await documents.issue(session, odd)
    assert issued is not None
    async with store.transaction() as session:
        (row,) = await documents.of_order(session, order_id)
    assert row.body == odd.body | {"number": issued.number, "notes": list(odd.body["notes"])} | {
        name: row.body[name] for name in ("lines", "taxes", "seller", "buyer")
    }
    assert row.is_unchanged
    assert row.sha256 == hashlib.sha256(documents.canonical(row.body).encode()).hexdigest()
    assert render_receipt_pdf(ReceiptDocument.from_json(row.body)).startswith(b"%PDF")


async def test_the_application_cannot_change_a_document(store: Database) -> None:
    (order_id,) = await make_orders(store, 1)
    async with store.transaction() as session:
        await documents.issue(session, draft(order_id, country="PT"))
    for statement in ("UPDATE document SET number = 'X'", "DELETE FROM document", "TRUNCATE document"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with store.transaction() as session:
                await session.execute(text(statement))


async def test_content_that_its_owner_changed_is_found(store: Database, owner_url: str) -> None:
    (order_id,) = await make_orders(store, 1)
    async with store.transaction() as session:
        await documents.issue(session, draft(order_id, country="FI"))
        assert [row async for row in documents.changed(session)] == []
    owner = Database(owner_url, pool_size=1)
    async with owner.transaction() as session:
        await session.execute(text("ALTER TABLE document DISABLE TRIGGER append_only"))
        await session.execute(
            text("UPDATE document SET body = jsonb_set(body, '{total}', '1') WHERE country = 'FI'")
        )
    await owner.aclose()
    async with store.transaction() as session:
        assert [row.number async for row in documents.changed(session)] == ["INV-FI-2026-000001"]


async def test_a_number_that_its_owner_took_out_is_missed(store: Database, owner_url: str) -> None:
    order_ids = await make_orders(store, 3)
    async with store.transaction() as session:
        for order_id in order_ids:
            await documents.issue(session, draft(order_id, country="SE"))
    (gapless,) = [one for one in invariants.DATABASE_INVARIANTS if one.name == "documents.gapless"]
    async with store.transaction() as session:
        assert not [found for found in await invariants.violations(session, gapless) if " SE " in found]
    owner = Database(owner_url, pool_size=1)
    async with owner.transaction() as session:
        await session.execute(text("ALTER TABLE document DISABLE TRIGGER append_only"))
        await session.execute(text("DELETE FROM document WHERE number = 'INV-SE-2026-000002'"))
    await owner.aclose()
    async with store.transaction() as session:
        found = await invariants.violations(session, gapless)
    assert [one for one in found if " SE " in one] == [
        "series invoice of SE in 2026: counter at 3, 2 documents up to 3"
    ]
