"""Whatever table names a person or an order is in an export, or it is said why not."""

import re

import psycopg
import pytest

from api.routes.people import PersonExport
from models.queries import person_export, personal_data

# By these a row is about somebody, with a foreign key or without.
NAMING = [
    *("user_id", "order_id", "lms_user_id", "payee_ref", "payee", "sub", "caller", "actor_id"),
    *("operator_id", "stream"),
]
ABOUT_PERSONS = f"""
WITH RECURSIVE references_to AS (
    SELECT conrelid::regclass::text AS source, confrelid::regclass::text AS target
    FROM pg_constraint WHERE contype = 'f'
), about AS (
    SELECT unnest(ARRAY['commerce_user', 'orders']) AS name
    UNION SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = ANY(ARRAY{NAMING})
    UNION SELECT r.source FROM about a JOIN references_to r ON r.target = a.name
) SELECT name FROM about
"""


def about_persons(owner_url: str) -> set[str]:
    """Tables that refer to a user or an order, directly or through others."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        return {row[0] for row in connection.execute(ABOUT_PERSONS)}  # type: ignore[arg-type]


def exported() -> set[str]:
    """Tables that a section reads."""
    read = " ".join(person_export.SECTIONS.values())
    computed = " ".join(person_export.COMPUTED.values())
    return {*re.findall(r"(?:FROM|JOIN) ([a-z_]+)", read), *computed.split()}


def forgotten(owner_url: str) -> set[str]:
    # The last number of a stream, whose events are exported.
    counters = {"outbound_stream"}
    return about_persons(owner_url) - exported() - person_export.NOT_EXPORTED.keys() - counters


def test_every_table_about_persons_is_exported_or_said_why_not(owner_url: str) -> None:
    assert forgotten(owner_url) == set()
    assert person_export.NOT_EXPORTED.keys() <= about_persons(owner_url)
    assert not person_export.NOT_EXPORTED.keys() & exported()
    # What an erasure wipes is what an export has, but for copies.
    assert personal_data.WIPED.keys() - exported() <= person_export.NOT_EXPORTED.keys()


def test_every_section_is_in_the_contract() -> None:
    fields = PersonExport.model_fields.keys() - {"person"}
    assert fields == person_export.SECTIONS.keys() | person_export.COMPUTED.keys()


@pytest.mark.parametrize(
    "columns",
    ["user_id uuid", "buyer uuid REFERENCES commerce_user", "line uuid REFERENCES order_line"],
)
def test_a_table_that_nobody_thought_of_fails(columns: str, owner_url: str) -> None:
    """Planted: somebody adds a table."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE planted_wish (id uuid, {columns})")  # type: ignore[arg-type]
        try:
            assert forgotten(owner_url) == {"planted_wish"}
        finally:
            connection.execute("DROP TABLE planted_wish")
