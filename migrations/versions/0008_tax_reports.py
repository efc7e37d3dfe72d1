"""which documents a tax calculator has to be told of"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a document of an order whose tax was calculated outside."""
    op.create_table(
        "tax_report",
        sa.Column("document_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("provider_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("failure", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"]),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"]),
        sa.PrimaryKeyConstraint("document_id"),
    )
    op.create_index("ix_tax_report_order_id", "tax_report", ["order_id"])
    op.create_index(
        "open_tax_reports",
        "tax_report",
        ["created_at"],
        postgresql_where=sa.text("reported_at IS NULL AND failure IS NULL"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON tax_report TO commerce_app")


def downgrade() -> None:
    """Reports that are still open are lost."""
    op.drop_table("tax_report")
