"""The built-in table of tax rates."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from domain.tax import TaxRate, TaxTableRow, rates_for
from models.database import Session


@dataclass(frozen=True, slots=True)
class Rates:
    """The table's rows of one country, for one address and day; without an address there is no tax."""

    table: Sequence[TaxTableRow]
    country: str | None
    state: str | None
    on_date: date
    reverse_charge: bool

    def of(self, tax_code: str) -> tuple[TaxRate, ...]:
        """The rates of a kind of goods."""
        if self.country is None:
            return ()
        found = rates_for(
            self.table,
            self.country,
            self.state,
            self.on_date,
            tax_code,
            reverse_charge=self.reverse_charge,
        )
        return tuple(found)


async def at(
    session: Session, address: Mapping[str, Any] | None, on_date: date, *, reverse_charge: bool
) -> Rates:
    """The rates at a billing address."""
    if address is None:
        return Rates((), None, None, on_date, reverse_charge)
    country = str(address["country"])
    return Rates(await _table(session, country), country, _state_of(address), on_date, reverse_charge)


async def _table(session: Session, country: str) -> list[TaxTableRow]:
    rows = await session.execute(
        text(
            "SELECT country, state, jurisdiction, ppm, valid_from, valid_to, tax_code FROM tax_rate "
            "WHERE country = :country"
        ),
        {"country": country},
    )
    return [
        TaxTableRow(
            country=row.country,
            jurisdiction=row.jurisdiction,
            ppm=row.ppm,
            valid_from=row.valid_from.astimezone(UTC).date(),
            valid_to=None if row.valid_to is None else row.valid_to.astimezone(UTC).date(),
            state=row.state,
            tax_code=row.tax_code or None,
        )
        for row in rows
    ]


def _state_of(address: Mapping[str, Any]) -> str | None:
    """The second part of ISO 3166-2; a front end may send the whole of it (`US-NY`)."""
    state = address.get("state")
    return None if state is None else str(state).removeprefix(f"{address['country']}-")


@dataclass(frozen=True, slots=True)
class RateVersion:
    """A row of the table: empty `state` and `tax_code` are all of them; `ppm` in parts per million."""

    id: str
    country: str
    state: str
    jurisdiction: str
    tax_code: str
    ppm: int
    valid_from: date
    valid_to: date | None
    source: str


def _version(row: Row[Any]) -> RateVersion:
    return RateVersion(
        id=str(row.id),
        country=row.country,
        state=row.state,
        jurisdiction=row.jurisdiction,
        tax_code=row.tax_code,
        ppm=row.ppm,
        valid_from=row.valid_from.astimezone(UTC).date(),
        valid_to=None if row.valid_to is None else row.valid_to.astimezone(UTC).date(),
        source=row.source,
    )


async def insert(session: Session, row: RateVersion) -> None:
    """Add a version; Conflict when one of the same place, kind and first day is there."""
    made = await session.execute(
        text(
            "INSERT INTO tax_rate (id, country, state, jurisdiction, tax_code, ppm, valid_from, valid_to, "
            "source) VALUES (:id, :country, :state, :jurisdiction, :tax_code, :ppm, "
            "CAST(:valid_from AS date)::timestamp AT TIME ZONE 'UTC', "
            "CAST(:valid_to AS date)::timestamp AT TIME ZONE 'UTC', :source) "
            "ON CONFLICT DO NOTHING RETURNING id"
        ),
        asdict(row),
    )
    if made.one_or_none() is not None:
        return
    found = await session.execute(text("SELECT * FROM tax_rate WHERE id = :id"), {"id": row.id})
    if found.one_or_none() is None:
        raise Conflict("a version of this place and kind begins on that day", code="tax_rate_exists")


async def page(
    session: Session, *, country: str | None, on: date | None, before: str | None, limit: int
) -> list[RateVersion]:
    """Newest first, keyset; with `on` of each place and kind the one that counts on that day."""
    rows = await session.execute(
        text(
            "SELECT * FROM tax_rate r WHERE (CAST(:country AS text) IS NULL OR r.country = :country) "
            "AND (CAST(:before AS uuid) IS NULL OR r.id < CAST(:before AS uuid)) "
            f"AND (CAST(:on AS date) IS NULL OR ({_HOLDS.format('r')} AND NOT EXISTS ("
            "SELECT FROM tax_rate y WHERE (y.country, y.state, y.jurisdiction, y.tax_code) = "
            "(r.country, r.state, r.jurisdiction, r.tax_code) AND y.valid_from > r.valid_from "
            f"AND {_HOLDS.format('y')}))) ORDER BY r.id DESC LIMIT :limit"
        ),
        {"country": country, "before": before, "on": on, "limit": limit},
    )
    return [_version(row) for row in rows]


_HOLDS = (
    "({0}.valid_from AT TIME ZONE 'UTC')::date <= :on "
    "AND ({0}.valid_to IS NULL OR :on < ({0}.valid_to AT TIME ZONE 'UTC')::date)"
)
