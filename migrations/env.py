"""Alembic's environment: connects with the URL it is handed."""

from alembic import context
from sqlalchemy import create_engine, pool

from models.tables import metadata

engine = create_engine(context.config.attributes["owner_url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
