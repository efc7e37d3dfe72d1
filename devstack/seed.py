"""A small believable catalogue for development: courses, a dated registration, a bundle, promotions, rules.

Idempotent: what is there, by id, slug or code, stays as it is; only the payout receiver's address follows
the stack's ports.
"""

import json
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.errors import Conflict
from domain.ids import instructor_payee
from integrations.sealing import Sealer
from models.database import Database, Session
from models.queries import catalog, promotions, split_rules, webhook_endpoints
from models.queries.catalog import Price

_NAMESPACE = uuid.UUID("0197c0de-0000-7000-8000-000000000000")
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_E_LEARNING = "txcd_20060158"
FIRST_INSTRUCTOR = instructor_payee("102")
SECOND_INSTRUCTOR = instructor_payee("103")
PAYOUT_EVENTS = [
    "earning.accrued", "earning.released", "earning.reversed", "earning.frozen", "earning.unfrozen",
    "payee.written_off", "course.completed",
]  # fmt: skip

# (slug and LMS course, title, description, prices)
_COURSES: tuple[tuple[str, str, str, dict[str, int]], ...] = (
    (
        "python-101",
        "Python from scratch",
        "Learn to program: data, functions, files, tests, and a project of your own.",
        {"USD": 9900, "EUR": 8900, "GBP": 7900},
    ),
    (
        "data-science",
        "Data science in practice",
        "Clean, explore and model real data, and tell what it says.",
        {"USD": 14900, "EUR": 13900, "KWD": 45500},
    ),
    (
        "web-design",
        "Web design that works",
        "Layout, type and colour for pages that people like to use.",
        {"USD": 7900, "EUR": 6900},
    ),
    (
        "japanese-basics",
        "Japanese basics",
        "Hiragana, katakana and first sentences.",
        {"JPY": 12000, "USD": 8500},
    ),
    ("intro-free", "How learning works", "A free hour on learning to learn.", {"USD": 0, "EUR": 0}),
)
_BUNDLE = ("python-101", "data-science", "web-design")


def _id(name: str) -> str:
    """A fixed UUIDv7 of long ago: in lists, what was made later stands before it."""
    moment = int(_LONG_AGO.timestamp() * 1000).to_bytes(6, "big")
    rest = uuid.uuid5(_NAMESPACE, name).bytes[6:]
    return str(uuid.UUID(bytes=moment + bytes([0x70 | rest[0] & 0x0F]) + rest[1:]))


async def _insert_item(
    session: Session, columns: dict[str, Any], prices: list[Price], members: tuple[str, ...] = ()
) -> None:
    slug = columns["slug"]
    if await catalog.find(session, slug) is None:
        ids = [await _item_id(session, member) for member in members]
        await catalog.insert(session, _id(slug), columns, prices, ids)


async def _item_id(session: Session, slug: str) -> str:
    """By slug: an operator may have made the item, under another id."""
    item = await catalog.find(session, slug)
    assert item is not None, slug
    return item.id


async def seed(
    database_url: str,
    *,
    payout_url: str | None = None,
    payout_secret: str | None = None,
    secrets_key: str | None = None,
) -> None:
    """Fill the catalogue; with the payout receiver's address and secret, register it as a receiver."""
    database = Database(database_url, pool_size=1)
    try:
        async with database.transaction() as session:
            await _seed_items(session)
            await _seed_promotions(session)
            await _seed_rules(session)
            if payout_url is not None and payout_secret is not None and secrets_key is not None:
                await _seed_payout_receiver(session, payout_url, payout_secret, Sealer(secrets_key))
    finally:
        await database.aclose()


async def _seed_items(session: Session) -> None:
    common: dict[str, Any] = {"tax_code": _E_LEARNING, "tax_behavior": "exclusive"}
    for slug, title, description, prices in _COURSES:
        columns = {
            **common,
            "slug": slug,
            "type": "course",
            "title": title,
            "description": description,
            "lms_course_id": slug,
        }
        await _insert_item(session, columns, [Price(c, a) for c, a in prices.items()])
    await _insert_item(
        session,
        {
            **common,
            "slug": "live-workshop-2027",
            "type": "registration",
            "title": "Live workshop, spring 2027",
            "description": "Two days in a small group, online, with the instructors.",
            "lms_course_id": "live-workshop-2027",
            "capacity": 20,
            "starts_at": datetime(2027, 4, 10, 8, tzinfo=UTC),
            "available_until": datetime(2027, 4, 9, tzinfo=UTC),
        },
        [Price("USD", 24900), Price("EUR", 22900)],
    )
    await _insert_item(
        session,
        {
            **common,
            "slug": "career-bundle",
            "type": "bundle",
            "title": "Career bundle",
            "description": "Three courses at the price of two.",
        },
        [Price("USD", 24900), Price("EUR", 22900)],
        _BUNDLE,
    )


async def _seed_promotions(session: Session) -> None:
    percent: dict[str, Any] = {"kind": "percent", "item_ids": []}
    codes: tuple[dict[str, Any], ...] = (
        {**percent, "code": "WELCOME10", "percent_bp": 1000},
        {**percent, "code": "FREE100", "percent_bp": 10_000},
        {**percent, "code": "LASTONE", "percent_bp": 5000, "usage_limit": 1},
        {**percent, "code": "EXPIRED", "percent_bp": 1000, "ends_at": datetime.now(UTC) - timedelta(days=1)},
        {"kind": "fixed", "item_ids": [], "code": "TAKE5", "amount_off": 500, "currency": "USD"},
    )
    for columns in codes:
        if await promotions.by_code(session, columns["code"]) is None:
            await promotions.insert(session, _id(f"promotion/{columns['code']}"), columns)


async def _seed_rules(session: Session) -> None:
    rules = {
        None: {"shares": [{"payee": FIRST_INSTRUCTOR, "bps": 7000}]},
        "data-science": {
            "shares": [{"payee": FIRST_INSTRUCTOR, "bps": 5000}, {"payee": SECOND_INSTRUCTOR, "bps": 2000}]
        },
        "web-design": {"shares": [{"payee": SECOND_INSTRUCTOR, "bps": 7000}]},
    }
    for slug, rule in rules.items():
        columns = {
            "item_id": None if slug is None else await _item_id(session, slug),
            "channel": None,
            "payee": None,
            "priority": 0,
            "valid_from": _LONG_AGO,
            "valid_to": None,
            "rule": json.dumps(rule),
        }
        with suppress(Conflict):  # an operator's rule stands
            await split_rules.insert(session, _id(f"rule/{slug}"), columns)


async def _seed_payout_receiver(session: Session, url: str, secret: str, sealer: Sealer) -> None:
    endpoint_id, url = _id("payout-receiver"), f"{url}/webhooks/commerce"
    entries = json.dumps([{"secret": secret, "expires_at": None}]).encode()
    await webhook_endpoints.insert(
        session,
        endpoint_id,
        url=url,
        description="the payout system",
        event_types=PAYOUT_EVENTS,
        secret_sealed=sealer.seal(entries, f"webhook-endpoint/{endpoint_id}"),
    )
    existing = await webhook_endpoints.get(session, endpoint_id, lock=True)
    if existing is not None and existing.url != url:  # its port was moved since
        await webhook_endpoints.save(session, replace(existing, url=url))
