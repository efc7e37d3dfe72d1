"""The built-in table of tax rates, for operators: versions by their first day, never edited."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.dependencies import NewObjectId, Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor
from api.schemas.common import Day
from api.schemas.tax import Country, NewTaxRateBody, TaxRateList, TaxRateView
from domain.errors import InvalidInput
from models.queries import tax_rates
from models.queries.tax_rates import RateVersion

router = APIRouter(route_class=CommerceRoute, tags=["tax"])


def _view(row: RateVersion) -> TaxRateView:
    return TaxRateView(
        id=row.id,
        country=row.country,
        state=row.state or None,
        jurisdiction=row.jurisdiction,
        tax_code=row.tax_code or None,
        rate_ppm=row.ppm,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        source=row.source,
    )


@router.post("/v1/tax-rates", status_code=201, operation_id="create_tax_rate")
async def create_tax_rate(
    body: Annotated[NewTaxRateBody, Body()], caller: Operator, session: SessionDep, rate_id: NewObjectId
) -> TaxRateView:
    """Add a version. It takes the place of older ones of the same place and kind from its first day on, which
    is today (UTC) or later: what was sold keeps the tax that it was sold with, refunds give back parts of it.

    With `TAX_PROVIDER=stripe` nobody reads the table.
    """
    if body.valid_from < datetime.now(UTC).date():
        raise InvalidInput("a rate begins today (UTC) or later", code="tax_rate_invalid")
    row = RateVersion(
        id=rate_id,
        country=body.country,
        state=body.state or "",
        jurisdiction=body.jurisdiction or body.place,
        tax_code=body.tax_code or "",
        ppm=body.rate_ppm,
        valid_from=body.valid_from,
        valid_to=body.valid_to,
        source=body.source,
    )
    await tax_rates.insert(session, row)
    return _view(row)


@router.get("/v1/tax-rates", operation_id="list_tax_rates")
async def list_tax_rates(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    country: Annotated[
        Country | None, Query(description="Only rates of this country: ISO 3166-1, two letters.")
    ] = None,
    on: Annotated[Day | None, Query(description="Only those that count on this day.")] = None,
    limit: Limit = 20,
) -> TaxRateList:
    """All versions, newest first; or with `on` those that are charged on a day."""
    rows = await tax_rates.page(session, country=country, on=on, before=cursor, limit=limit + 1)
    return TaxRateList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )
