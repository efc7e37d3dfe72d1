"""Events of the LMS: taken over in the transaction that stores them, and whom they concern."""

from typing import Any

from domain.messages import LmsConcern, StoredEvent
from models.database import Session
from models.queries import completions, identity, merges


async def take_in(session: Session, event: dict[str, Any]) -> None:
    """Keep the facts that an event tells. Raises InvalidInput or LookupError for one that can't be read."""
    await completions.take_in(session, event)
    await identity.take_in(session, event)


async def concerned(session: Session, event: StoredEvent) -> LmsConcern:
    """Whose workflows an event is to wake; nobody's, when they have no part in it (yet)."""
    return LmsConcern(
        await completions.concerned(session, event),
        await identity.to_erase(session, event),
        await merges.to_merge(session, event),
        await identity.to_follow(session, event),
    )
