"""Each column that can hold a text is wiped with a person, or said to be somebody else's or nobody's."""

from collections import Counter
from collections.abc import Mapping

import psycopg
import pytest

from models.queries import personal_data

TEXTS = "('text', 'character varying', 'character', 'json', 'jsonb', 'bytea', 'xml')"
COLUMNS = (
    "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c "
    "LEFT JOIN information_schema.element_types e ON e.object_schema = c.table_schema "
    "AND e.object_name = c.table_name AND e.object_type = 'TABLE' "
    "AND e.collection_type_identifier = c.dtd_identifier "
    f"WHERE c.table_schema = 'public' AND coalesce(e.data_type, c.data_type) IN {TEXTS}"
)


def named(columns: Mapping[str, str]) -> list[str]:
    return [f"{table}.{column}" for table, names in columns.items() for column in names.split()]


def undeclared(owner_url: str) -> tuple[set[str], set[str]]:
    """Columns that nobody said anything about, and what was said of columns that are not there."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        there = {row[0] for row in connection.execute(COLUMNS)}
    groups = [*personal_data.KEPT_BY_LAW.values(), *personal_data.HOLDS_NOBODY.values()]
    said = Counter([*named(personal_data.WIPED), *(one for group in groups for one in named(group))])
    assert not [column for column, times in said.items() if times > 1]
    return there - said.keys(), said.keys() - there


def test_every_column_is_wiped_or_said_to_hold_nobody(owner_url: str) -> None:
    assert undeclared(owner_url) == (set(), set())


@pytest.mark.parametrize("kind", ["text", "jsonb", "text[]", "varchar(80)"])
def test_a_column_that_nobody_thought_of_fails(kind: str, owner_url: str) -> None:
    """Planted: somebody adds a note."""
    table = f"planted_{kind[:4]}"
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {table} (note {kind})")
        try:
            assert undeclared(owner_url)[0] == {f"{table}.note"}
        finally:
            connection.execute(f"DROP TABLE {table}")
