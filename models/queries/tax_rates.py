"""The built-in table of tax rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

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
            valid_from=row.valid_from.date(),
            valid_to=None if row.valid_to is None else row.valid_to.date(),
            state=row.state,
            tax_code=row.tax_code or None,
        )
        for row in rows
    ]


def _state_of(address: Mapping[str, Any]) -> str | None:
    """The second part of ISO 3166-2; a front end may send the whole of it (`US-NY`)."""
    state = address.get("state")
    return None if state is None else str(state).removeprefix(f"{address['country']}-")
