"""keys of machines"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE api_key (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name varchar NOT NULL,
    hint varchar NOT NULL,
    key_hash varchar NOT NULL UNIQUE,
    scopes text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
GRANT SELECT, INSERT ON api_key TO commerce_app;
GRANT UPDATE (last_used_at, revoked_at) ON api_key TO commerce_app;
"""


def upgrade() -> None:
    """What a key may do can't be widened later, not even by the application."""
    op.execute(TABLE)


def downgrade() -> None:
    """No key is good any more."""
    op.execute("DROP TABLE api_key")
