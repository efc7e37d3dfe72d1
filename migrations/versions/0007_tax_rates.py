"""tax rates by kind of goods, the table's rates, and what was decided about an order's tax"""

from datetime import UTC, date, datetime

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# docs/tax.md names the sources; the rates are those of 2026-03-01 and the changes since the first day.
FIRST = date(2024, 1, 1)
EU_SOURCE = "European Commission, Taxes in Europe Database, standard VAT rates, 2026-03-01"
# In percent, on the first day.
EU_VAT = {
    "AT": 20, "BE": 21, "BG": 20, "CY": 19, "CZ": 21, "DE": 19, "DK": 25, "EE": 22, "ES": 21, "FI": 24,
    "FR": 20, "GR": 24, "HR": 25, "HU": 27, "IE": 23, "IT": 22, "LT": 21, "LU": 17, "LV": 21, "MT": 18,
    "NL": 21, "PL": 23, "PT": 23, "RO": 19, "SE": 25, "SI": 22, "SK": 20,
}  # fmt: skip
EU_CHANGES = {
    "FI": (date(2024, 9, 1), 25.5),
    "SK": (date(2025, 1, 1), 23),
    "EE": (date(2025, 7, 1), 24),
    "RO": (date(2025, 8, 1), 21),
}
OTHERS = (
    ("GB", "", "GB", 200_000, "HM Revenue & Customs, VAT rates, standard rate, 2026-03-01"),
    ("JP", "", "JP", 100_000, "National Tax Agency, consumption tax, standard rate, 2026-03-01"),
    ("US", "NY", "US-NY", 40_000, "New York Department of Taxation and Finance, state rate, 2026-03-01"),
    ("US", "CA", "US-CA", 72_500, "California CDTFA, statewide base rate, 2026-03-01"),
    ("US", "WA", "US-WA", 65_000, "Washington Department of Revenue, state rate, 2026-03-01"),
)


def _rows() -> list[dict[str, object]]:
    rows = []

    def add(
        country: str, state: str, name: str, ppm: int, source: str, start: date, end: date | None = None
    ) -> None:
        rows.append(
            {
                "country": country,
                "state": state,
                "jurisdiction": name,
                "ppm": ppm,
                "valid_from": _midnight(start),
                "valid_to": None if end is None else _midnight(end),
                "source": source,
            }
        )

    for country, percent in EU_VAT.items():
        change = EU_CHANGES.get(country)
        add(country, "", country, percent * 10_000, EU_SOURCE, FIRST, None if change is None else change[0])
        if change is not None:
            add(country, "", country, round(change[1] * 10_000), EU_SOURCE, change[0])
    for country, state, name, ppm, source in OTHERS:
        add(country, state, name, ppm, source, FIRST)
    return rows


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def upgrade() -> None:
    """Rates of a development seed give way to the table's own."""
    op.add_column(
        "tax_rate",
        sa.Column("tax_code", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False),
    )
    op.drop_constraint("tax_rate_country_state_jurisdiction_valid_from_key", "tax_rate")
    op.create_unique_constraint(
        "tax_rate_country_state_jurisdiction_tax_code_valid_from_key",
        "tax_rate",
        ["country", "state", "jurisdiction", "tax_code", "valid_from"],
    )
    op.execute("DELETE FROM tax_rate WHERE valid_from = '2020-01-01Z' AND valid_to IS NULL")
    table = sa.table(
        "tax_rate",
        sa.column("country"),
        sa.column("state"),
        sa.column("jurisdiction"),
        sa.column("ppm"),
        sa.column("valid_from"),
        sa.column("valid_to"),
        sa.column("source"),
    )
    op.bulk_insert(table, _rows())
    op.add_column("orders", sa.Column("taxation", postgresql.JSONB(astext_type=sa.Text()), nullable=True))


def downgrade() -> None:
    """Rates by kind of goods are lost."""
    op.drop_column("orders", "taxation")
    op.execute("DELETE FROM tax_rate WHERE tax_code <> ''")
    op.drop_constraint("tax_rate_country_state_jurisdiction_tax_code_valid_from_key", "tax_rate")
    op.drop_column("tax_rate", "tax_code")
    op.create_unique_constraint(
        "tax_rate_country_state_jurisdiction_valid_from_key",
        "tax_rate",
        ["country", "state", "jurisdiction", "valid_from"],
    )
