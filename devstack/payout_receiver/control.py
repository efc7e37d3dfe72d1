"""Typed client of the payout receiver's control routes, for tests and demonstrations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devstack.lms_standin.control import ControlClient, Delivery, to_delivery


@dataclass(frozen=True)
class ReceivedEvent:
    """One event, stored once; `arrival` counts first arrivals."""

    arrival: int
    webhook_id: str
    type: str
    stream: str | None
    stream_seq: int | None
    body: dict[str, Any]
    received_at: str


@dataclass(frozen=True)
class Attempt:
    """One request: outcome stored, duplicate, bad_signature, fault or `malformed: ...`."""

    id: int
    at: str
    webhook_id: str
    type: str
    outcome: str
    status: int | None
    signatures: int


@dataclass(frozen=True)
class Balance:
    """What a payee has by our events, in minor units; `frozen` counts frozen earnings."""

    payee_ref: str
    currency: str
    accrued: int
    released: int
    reversed_held: int
    reversed_released: int
    settled: int
    frozen: int
    held: int
    payable: int


@dataclass(frozen=True)
class Stream:
    """Sequence numbers in order of arrival."""

    stream: str
    seqs: list[int]
    in_order_without_gaps: bool


@dataclass(frozen=True)
class Settlement:
    """A payout that was made, and the id of its `payout.settled`."""

    payout_id: str
    payee_ref: str
    currency: str
    amount: int
    event_id: str


class PayoutControl(ControlClient):
    """Moves the payout receiver."""

    @property
    def webhook_url(self) -> str:
        """Where it takes our events."""
        return f"{self.base_url}/webhooks/commerce"

    async def events(self, type: str | None = None, stream: str | None = None) -> list[ReceivedEvent]:  # noqa: A002
        """Events in order of first arrival."""
        return [ReceivedEvent(**row) for row in await self._read("events", type=type, stream=stream)]

    async def attempts(self, webhook_id: str | None = None) -> list[Attempt]:
        """Every request to the webhook route, or those of one event."""
        return [Attempt(**row) for row in await self._read("attempts", webhook_id=webhook_id)]

    async def payees(self) -> list[Balance]:
        """Balances by payee and currency."""
        return [Balance(**row) for row in await self._read("payees")]

    async def streams(self) -> list[Stream]:
        """Each stream's sequence numbers as they arrived."""
        return [Stream(**row) for row in await self._read("streams")]

    async def settle(self, payee_ref: str, currency: str, amount: int) -> Settlement:
        """Pay a payee; `payout.settled` is sent."""
        return Settlement(
            **await self._call("POST", "settle", payee_ref=payee_ref, currency=currency, amount=amount)
        )

    async def deliveries(self, event_id: str | None = None) -> Sequence[Delivery]:
        """Every queued copy of every `payout.settled`."""
        return [to_delivery(row) for row in await self._read("deliveries", event_id=event_id)]

    async def fault(
        self,
        *,
        status: int | None = None,
        count: int | None = 1,
        retry_after: str | None = None,
        location: str | None = None,
        latency_seconds: float = 0.0,
        body: str = "as you wished",
        after_effect: bool = False,
        cut: bool = False,
        type: str | None = None,  # noqa: A002
        stream: str | None = None,
    ) -> None:
        """Misbehave at the next `count` matching events (None: until cleared)."""
        await self._call(
            "POST",
            "faults",
            status=status,
            count=count,
            retry_after=retry_after,
            location=location,
            latency_seconds=latency_seconds,
            body=body,
            after_effect=after_effect,
            cut=cut,
            type=type,
            stream=stream,
        )

    async def clear_faults(self) -> None:
        """End all faults."""
        await self._call("DELETE", "faults")

    async def chaos(
        self,
        *,
        duplicate: int = 0,
        reorder: int = 0,
        delay_seconds: float = 0.0,
        drop: bool = False,
        count: int | None = None,
    ) -> None:
        """Spoil the next `count` events that it sends; without arguments: end the chaos."""
        await self._call(
            "PUT",
            "chaos",
            duplicate=duplicate,
            reorder=reorder,
            delay_seconds=delay_seconds,
            drop=drop,
            count=count,
        )

    async def set_secrets(self, *secrets: str) -> None:
        """Accept events signed by any of these, also after a restart."""
        await self._call("PUT", "secrets", secrets=list(secrets))

    async def point_webhooks_to(self, url: str | None = None, secret: str | None = None) -> None:
        """Send `payout.settled` to another address, or sign with another secret, until the next start."""
        await self._call("PUT", "secrets", webhook_url=url, webhook_secret=secret)

    async def reset(self) -> None:
        """Forget everything."""
        await self._call("POST", "reset")
