"""credit notes of lost disputes and late failures, and the documents that correct a credit note"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_CAUSE = "document_kind_order_id_refund_id_dispute_id_key"


def upgrade() -> None:
    """One document of a kind for each cause: the sale, a refund, a dispute, a failed payment."""
    op.add_column("document", sa.Column("dispute_id", sa.Uuid(), sa.ForeignKey("dispute.id"), nullable=True))
    op.create_index("ix_document_dispute_id", "document", ["dispute_id"])
    op.drop_constraint("document_kind_order_id_refund_id_key", "document")
    op.create_unique_constraint(
        _CAUSE,
        "document",
        ["kind", "order_id", "refund_id", "dispute_id"],
        postgresql_nulls_not_distinct=True,
    )


def downgrade() -> None:
    """Refused while there are two credit notes that name no refund."""
    op.drop_constraint(_CAUSE, "document")
    op.drop_index("ix_document_dispute_id", "document")
    op.drop_column("document", "dispute_id")
    op.create_unique_constraint(
        "document_kind_order_id_refund_id_key",
        "document",
        ["kind", "order_id", "refund_id"],
        postgresql_nulls_not_distinct=True,
    )
