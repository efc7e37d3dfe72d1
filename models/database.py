"""The connection to PostgreSQL: one pool a process, one transaction a request or activity."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

Session = AsyncSession


async def see_one_moment(session: Session) -> None:
    """Have all reads of this transaction see one moment, so that figures and lists agree. Comes first."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


class Database:
    """A pool of connections as the application role."""

    def __init__(
        self, url: str, *, pool_size: int = 20, statement_timeout_seconds: float | None = None
    ) -> None:
        """Without a time-out a statement may take as long as it needs."""
        options = "-c timezone=UTC"
        if statement_timeout_seconds is not None:
            options += f" -c statement_timeout={round(statement_timeout_seconds * 1000)}"
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,  # names and addresses stand in them
            connect_args={"options": options, "connect_timeout": 5},
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Commit when the block ends well, roll back when it raises."""
        async with self._sessions() as session, session.begin():
            yield session

    def session(self) -> Session:
        """A session whose boundary the caller commits; the gateway uses one a request."""
        return self._sessions()

    async def ping(self) -> None:
        """Raise when the database can't be asked."""
        async with self._engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        """Close the pool."""
        await self._engine.dispose()
