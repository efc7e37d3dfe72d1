"""The shared fixtures give each module a migrated database with the two roles."""

import psycopg
import pytest
from psycopg import errors

from tests.harness.servers import Servers


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql", 1)


def test_application_role_reads_but_makes_no_tables(database_url: str) -> None:
    with psycopg.connect(_plain(database_url)) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE forbidden (id int)")


def test_owner_owns_the_database(owner_url: str) -> None:
    with psycopg.connect(_plain(owner_url)) as connection:
        row = connection.execute(
            "SELECT current_user, pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("commerce_owner", "commerce_owner")


async def test_databases_are_separate(servers: Servers, database: str, fresh_database: str) -> None:
    assert database != fresh_database
    async with await psycopg.AsyncConnection.connect(_plain(servers.owner_url(database))) as connection:
        await connection.execute("CREATE TABLE only_here (id int)")
    async with await psycopg.AsyncConnection.connect(_plain(servers.owner_url(fresh_database))) as connection:
        row = await (await connection.execute("SELECT to_regclass('only_here')")).fetchone()
    assert row == (None,)
