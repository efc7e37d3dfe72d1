"""What is committed before the answer, because something outside of the request's transaction acts on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.audit import log_begun
from api.dependencies import services_of
from models.database import Session


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one write: each with the audit entry of who gave it."""

    request: Request

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """One of its own, to record what a workflow is to do; from then on the key stays with the request."""
        async with services_of(self.request).commands.transaction() as session:
            yield session
            await log_begun(self.request, session)
            self.request.state.effect_possible = True

    async def begin(self) -> None:
        """Before a workflow is asked that needs no record of the command."""
        async with self.transaction():
            pass


def commands_of(request: Request) -> Commands:
    """The commands of this write."""
    return Commands(request)


CommandsDep = Annotated[Commands, Depends(commands_of)]
