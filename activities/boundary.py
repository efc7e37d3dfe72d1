"""The border between our errors and Temporal's, and the transaction of an activity."""

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.errors import CommerceError, LedgerError, Unavailable
from integrations.dispatch import Dispatcher
from integrations.logs import bound
from models.database import Database, Session
from models.queries import documents, outbox
from models.queries.documents import Draft
from models.queries.outbox import Publication

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)


def translated(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Turn our errors into `ApplicationError(type=code)`: final ones are not retried.

    A ledger alarm is final too: no retry makes an entry right. Anything else (a bug, a lost database
    connection) stays as it is and is retried.
    """

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await function(*args, **kwargs)
        except Unavailable as error:
            delay = error.retry_after_seconds
            raise ApplicationError(
                error.detail or error.code,
                type=error.code,
                category=ApplicationErrorCategory.BENIGN,
                next_retry_delay=None if delay is None else timedelta(seconds=delay),
            ) from error
        except CommerceError as error:
            category = (
                ApplicationErrorCategory.UNSPECIFIED
                if isinstance(error, LedgerError)
                else ApplicationErrorCategory.BENIGN
            )
            raise ApplicationError(
                error.detail or error.code,
                dict(error.members),
                type=error.code,
                non_retryable=True,
                category=category,
            ) from error
        except DBAPIError as error:
            # The driver's message repeats the statement with its values: keep those out of histories.
            raise ApplicationError(f"database: {type(error.orig).__name__}", type="database_error") from None

    return call


@dataclass
class Transaction:
    """One transaction of an activity. Events published here are written and sent with its commit; questions
    to buyers that it opened are asked after it."""

    session: Session
    publications: list[Publication] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def publish(self, publication: Publication) -> None:
        """Publish an event with this transaction."""
        self.publications.append(publication)

    def issue(self, draft: Draft | None) -> None:
        """Issue a document, if there is one, with this transaction: by its last statements, which lock the
        number's series."""
        if draft is not None:
            self.drafts.append(draft)


class Transactions:
    """Opens transactions, and wakes the deliveries of what they published once they are committed."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database = database
        self._dispatcher = dispatcher

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Commit when the block ends well."""
        wakes: list[outbox.Wake] = []
        reports: list[str] = []
        async with self._database.transaction() as session:
            transaction = Transaction(session)
            yield transaction
            wakes = await outbox.publish(session, transaction.publications, request_id=bound("request_id"))
            # Last, and in one order, so that nobody waits long for a number, nor two for each other.
            for draft in sorted(transaction.drafts, key=lambda draft: draft.series):
                issued = await documents.issue(session, draft)
                if issued is not None and issued.report is not None:
                    reports.append(issued.report)
        for wake in wakes:
            try:
                await self._dispatcher.wake_delivery(wake.endpoint_id, wake.stream)
            except Unavailable:
                # The event is committed; the sweep of the inbox recovery wakes its delivery later.
                log.warning("could not wake the delivery of %s", wake.stream)
        for resolution_id in transaction.questions:
            try:
                await self._dispatcher.wake_resolution(resolution_id)
            except Unavailable:
                # Its row is committed; the recovery starts it.
                log.warning("could not have question %s asked", resolution_id)
        for document_id in reports:
            try:
                await self._dispatcher.start_tax_report(document_id)
            except Unavailable:
                log.warning("could not start the tax report of document %s", document_id)
