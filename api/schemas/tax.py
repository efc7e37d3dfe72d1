"""Tax rates of the built-in table."""

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.common import Body, Day, Newest, NextCursor, Output, OwnId, Whole
from domain.tax import PPM_WHOLE, REVERSE_CHARGE_SUFFIX

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
State = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,3}$", description="The second part of ISO 3166-2.")]
Jurisdiction = Annotated[
    str,
    Field(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?( [\w .'-]{1,60})?$",
        description="As documents name it: `DE`, `US-NY`, `US-NY New York City`.",
    ),
]
TaxCode = Annotated[str, Field(pattern=r"^txcd_[0-9]{8}$", description="Null: all kinds without their own.")]


class NewTaxRateBody(Body):
    """A version of a rate; never edited, only followed by a younger one of the same place and kind.

    Days are in UTC; it is valid within `[valid_from, valid_to)`.
    """

    country: Country
    state: Annotated[
        State | None,
        Field(description="The second part of ISO 3166-2, such as `NY`; null: the whole country."),
    ] = None
    jurisdiction: Annotated[
        Jurisdiction | None, Field(description="Left out: the country, or the country and the state.")
    ] = None
    tax_code: Annotated[
        TaxCode | None,
        Field(description="The kind of goods; null: all kinds that have no rate of their own here."),
    ] = None
    rate_ppm: Annotated[Whole, Field(ge=0, le=PPM_WHOLE, description="Parts per million: 19 % is 190000.")]
    valid_from: Annotated[Day, Field(description="Its first day, today (UTC) or later.")]
    valid_to: Annotated[Day | None, Field(description="The day after its last; null: no end.")] = None
    source: Annotated[str, Field(min_length=3, max_length=300, description="Who says so, as of when.")]

    @property
    def place(self) -> str:
        """The country, or the country and the state: `US-NY`."""
        return self.country if self.state is None else f"{self.country}-{self.state}"

    @model_validator(mode="after")
    def _is_of_its_place(self) -> "NewTaxRateBody":
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to is after valid_from")
        named = self.jurisdiction
        if named is None:
            return self
        if named.split(" ")[0] != self.place or named.endswith(REVERSE_CHARGE_SUFFIX):
            raise ValueError(f"the jurisdiction begins with {self.place}")
        return self


class TaxRateView(Output):
    """A version of a rate. Of those that are valid on a day, the youngest of a place and kind counts."""

    id: OwnId
    country: Annotated[str, Field(description="ISO 3166-1, two letters.")]
    state: Annotated[str | None, Field(description="The second part of ISO 3166-2; null: the whole country.")]
    jurisdiction: Annotated[
        str, Field(description="As documents name it: `DE`, `US-NY`, `US-NY New York City`.")
    ]
    tax_code: Annotated[
        str | None,
        Field(description="The kind of goods; null: all kinds that have no rate of their own here."),
    ]
    rate_ppm: Annotated[int, Field(description="Parts per million: 19 % is 190000.")]
    valid_from: Annotated[date, Field(description="Its first day (UTC).")]
    valid_to: Annotated[
        date | None,
        Field(
            description="The day after its last (UTC); null: no end, unless a younger one takes its place."
        ),
    ]
    source: Annotated[str, Field(description="Who says so, as of when.")]


class TaxRateList(Output):
    """A page of versions, newest first."""

    data: Newest[TaxRateView]
    next_cursor: NextCursor
