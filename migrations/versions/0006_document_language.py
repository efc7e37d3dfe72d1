"""the language of an order's documents"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Orders of before go by their country."""
    op.add_column("orders", sa.Column("locale", sqlmodel.sql.sqltypes.AutoString(), nullable=True))


def downgrade() -> None:
    """Forget the languages."""
    op.drop_column("orders", "locale")
