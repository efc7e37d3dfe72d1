"""Streams of events, each at an endpoint of the payout receiver."""

from dataclasses import dataclass
from typing import Any, Protocol

from temporalio.client import WorkflowHandle

from models.queries import outbox
from models.queries.outbox import Publication
from tests.workflows.bench import Bench

TYPE = "order.paid"


@dataclass
class Stream:
    """One stream of one endpoint of its own at the payout receiver."""

    bench: Bench
    name: str
    endpoint_id: str

    async def publish(self, *keys: str) -> list[str]:
        """Write the events, wake nobody; returns their ids."""
        async with self.bench.resources.database.transaction() as session:
            events = [Publication(f"{self.name}/{key}", TYPE, self.name, {"key": key}) for key in keys]
            await outbox.publish(session, events)
        rows = await self.bench.query(
            "SELECT id FROM outbound_event WHERE stream = %s ORDER BY stream_seq DESC LIMIT %s",
            self.name,
            len(keys),
        )
        return [str(row["id"]) for row in reversed(rows)]

    async def start(self) -> WorkflowHandle[Any, Any]:
        """Wake the delivery."""
        return await self.bench.start_delivery(self.endpoint_id, self.name)

    async def deliveries(self) -> list[tuple[str, int]]:
        """(status, attempts) of each event, in the stream's order."""
        rows = await self.bench.query(
            "SELECT d.status, d.attempts FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
            "WHERE d.endpoint_id = %s AND e.stream = %s ORDER BY e.stream_seq",
            self.endpoint_id,
            self.name,
        )
        return [(row["status"], row["attempts"]) for row in rows]

    async def attempts(self, event_id: str) -> int:
        """How often the receiver was asked to take the event."""
        return len(await self.bench.payout.attempts(event_id))

    async def arrived(self) -> list[str]:
        """The events that it took, in order of arrival."""
        return [event.webhook_id for event in await self.bench.payout.events(stream=self.name)]


class MakeStream(Protocol):
    """Makes a stream at an endpoint of its own, or at one that is there already."""

    async def __call__(
        self, at: str | None = None, *, types: tuple[str, ...] = (TYPE,), url: str | None = None
    ) -> Stream:
        """`types`: what the new endpoint wants."""
