"""Database migrations (Alembic), run as the owner of the database."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring the database to `revision`; `owner_url` is the owner's connection, never the application's."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["owner_url"] = owner_url
    command.upgrade(config, revision)
