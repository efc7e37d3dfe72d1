"""The seeded catalogue: what it has, and that seeding again changes nothing but an address."""

from typing import Any

import psycopg

from devstack.seed import seed
from tests.harness.servers import Servers

SECRET = "whsec_cGF5b3V0LXJlY2VpdmVyLXNlY3JldC1vZi10ZXN0cw=="
SEALED_WITH = "test:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
TABLES = (
    "catalog_item", "item_price", "bundle_member", "promotion", "split_rule", "tax_rate", "webhook_endpoint",
)  # fmt: skip


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        return connection.execute(statement).fetchall()


async def seed_at(url: str, payout_url: str) -> None:
    await seed(url, payout_url=payout_url, payout_secret=SECRET, secrets_key=SEALED_WITH)


async def test_the_catalogue_has_what_a_demonstration_needs(servers: Servers, fresh_database: str) -> None:
    url = servers.database_url(fresh_database)
    await seed_at(url, "http://127.0.0.1:8091")
    prices = {
        (slug, currency): amount
        for slug, currency, amount in rows(
            url, "SELECT slug, currency, amount FROM item_price JOIN catalog_item i ON i.id = item_id"
        )
    }
    assert {("python-101", "USD"), ("python-101", "EUR"), ("python-101", "GBP")} <= set(prices)
    assert {("data-science", "KWD"), ("japanese-basics", "JPY"), ("career-bundle", "USD")} <= set(prices)
    assert prices["intro-free", "USD"] == 0
    assert prices["data-science", "KWD"] % 10 == 0
    seats = rows(url, "SELECT slug, capacity FROM catalog_item WHERE type = 'registration'")
    assert seats == [("live-workshop-2027", 20)]
    codes: dict[str, int] = dict(rows(url, "SELECT code, coalesce(percent_bp, amount_off) FROM promotion"))
    assert codes["WELCOME10"] == 1000
    assert codes["FREE100"] == 10_000
    assert codes["TAKE5"] == 500
    assert rows(url, "SELECT usage_limit FROM promotion WHERE code = 'LASTONE'") == [(1,)]
    rates: dict[str, int] = dict(rows(url, "SELECT jurisdiction, ppm FROM tax_rate WHERE valid_to IS NULL"))
    assert len(rates) > 30
    assert (rates["DE"], rates["FI"], rates["GB"]) == (190_000, 255_000, 200_000)
    assert (rates["JP"], rates["US-NY"], rates["US-CA"]) == (100_000, 40_000, 72_500)
    assert rows(url, "SELECT count(*) FROM tax_rate WHERE source = ''") == [(0,)]
    assert rows(url, "SELECT count(*) FROM catalog_item WHERE uuid_extract_version(id) <> 7") == [(0,)]


async def test_seeding_again_changes_nothing(servers: Servers, fresh_database: str) -> None:
    url = servers.database_url(fresh_database)
    await seed_at(url, "http://127.0.0.1:8091")
    before = {table: rows(url, f"SELECT * FROM {table} ORDER BY id") for table in TABLES}
    await seed_at(url, "http://127.0.0.1:8091")
    assert {table: rows(url, f"SELECT * FROM {table} ORDER BY id") for table in TABLES} == before
    assert all(before.values())


async def test_a_moved_payout_receiver_is_followed(servers: Servers, fresh_database: str) -> None:
    url = servers.database_url(fresh_database)
    await seed_at(url, "http://127.0.0.1:8091")
    await seed_at(url, "http://127.0.0.1:9999")
    found = rows(url, "SELECT url, version FROM webhook_endpoint")
    assert found == [("http://127.0.0.1:9999/webhooks/commerce", 2)]


async def test_what_an_operator_made_first_stands(servers: Servers, fresh_database: str) -> None:
    url = servers.database_url(fresh_database)
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        connection.execute(
            "INSERT INTO catalog_item (slug, type, title, description, lms_course_id, tax_code) "
            "VALUES ('web-design', 'course', 'Mine', '', 'web-design', 't')"
        )
        connection.execute(
            "INSERT INTO item_price (item_id, currency, amount) SELECT id, 'USD', 1 FROM catalog_item"
        )
        connection.execute("INSERT INTO promotion (code, kind, percent_bp) VALUES ('TAKE5', 'percent', 1)")
        connection.execute("INSERT INTO split_rule (valid_from, rule) VALUES ('2025-01-01', '{}')")
    await seed_at(url, "http://127.0.0.1:8091")
    assert rows(url, "SELECT title FROM catalog_item WHERE slug = 'web-design'") == [("Mine",)]
    assert rows(url, "SELECT percent_bp FROM promotion WHERE code = 'TAKE5'") == [(1,)]
    assert rows(url, "SELECT rule FROM split_rule WHERE item_id IS NULL") == [({},)]
    members = "SELECT count(*) FROM bundle_member m JOIN catalog_item i ON i.id = m.item_id"
    assert rows(url, members) == [(3,)]
