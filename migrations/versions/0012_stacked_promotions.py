"""several promotion codes on a cart and an order"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


CODES = {
    "cart": "UPDATE cart SET promo_codes = ARRAY[promo_code] WHERE promo_code IS NOT NULL",
    "orders": "UPDATE orders SET promo_codes = ARRAY[promo_code] WHERE promo_code IS NOT NULL",
}


def upgrade() -> None:
    """The one code becomes a list."""
    for table, statement in CODES.items():
        op.add_column(
            table,
            sa.Column(
                "promo_codes", postgresql.ARRAY(sa.TEXT()), server_default=sa.text("'{}'"), nullable=False
            ),
        )
        op.execute(statement)
        op.drop_column(table, "promo_code")


def downgrade() -> None:
    """Only the first code is kept."""
    for table in CODES:
        op.add_column(table, sa.Column("promo_code", sa.String(), nullable=True))
    op.execute("UPDATE cart SET promo_code = promo_codes[1]")
    op.execute("UPDATE orders SET promo_code = promo_codes[1]")
    for table in CODES:
        op.drop_column(table, "promo_codes")
