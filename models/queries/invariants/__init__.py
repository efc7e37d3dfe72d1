"""Every invariant that the database can be asked for, a module for what each looks at, and asking it."""

from sqlalchemy import text

from models.database import Session
from models.queries.invariants.access import ACCESS
from models.queries.invariants.books import BOOKS
from models.queries.invariants.documents import DOCUMENTS
from models.queries.invariants.earnings import EARNINGS
from models.queries.invariants.events import EVENTS
from models.queries.invariants.invariant import Invariant
from models.queries.invariants.orders import ORDERS
from models.queries.invariants.questions import QUESTIONS
from models.queries.invariants.refunds import REFUNDS

DATABASE_INVARIANTS = (
    *BOOKS,
    *ORDERS,
    *DOCUMENTS,
    *REFUNDS,
    *EARNINGS,
    *ACCESS,
    *QUESTIONS,
    *EVENTS,
)


async def violations(session: Session, invariant: Invariant, limit: int = 20) -> list[str]:
    """What breaks the invariant, in words."""
    rows = await session.execute(text(invariant.query))
    return [str(row[0]) for row in rows.fetchmany(limit)]
