"""Signed events of the processor at an even rate, as a busy day brings them."""

import asyncio
import json
import time
import uuid
from dataclasses import dataclass

import httpx

from devstack.stripe_standin.deliveries import sign


@dataclass(frozen=True)
class Acknowledged:
    """How long each event waited for its answer (seconds, ascending), and how many were not taken."""

    seconds: list[float]
    refused: int

    @property
    def p99(self) -> float:
        """What 99 of 100 did not wait longer than; seconds."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * 0.99))]

    @property
    def median(self) -> float:
        """Seconds."""
        return self.seconds[len(self.seconds) // 2]


def _event(order_id: str | None) -> str:
    subject = {"id": f"pi_{uuid.uuid4().hex}", "object": "payment_intent", "metadata": {"order_id": order_id}}
    kind = "payment_intent.created" if order_id is None else "payment_intent.requires_action"
    return json.dumps({"id": f"evt_{uuid.uuid4().hex}", "type": kind, "data": {"object": subject}})


async def send_events(
    gateway: str, secret: str, *, per_second: float, seconds: float, order_ids: list[str]
) -> Acknowledged:
    """Send at the rate, however slow the answers are. Every fifth event is about one of the orders, and
    is signalled to its workflow; the others are of types and objects that are none of ours."""
    taken: list[float] = []
    refused = 0

    async def send(http: httpx.AsyncClient, payload: str) -> None:
        nonlocal refused
        headers = {"Stripe-Signature": sign(payload, [secret], int(time.time()))}
        began = time.monotonic()
        url = f"{gateway}/v1/webhooks/stripe"
        try:
            answer = await http.post(url, content=payload, headers=headers)
        except httpx.TransportError:
            answer = await http.post(url, content=payload, headers=headers)  # as the processor would
        taken.append(time.monotonic() - began)
        refused += answer.status_code != 200

    # Connections are let go before the gateway does so (after 5 s), in the middle of a request.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(timeout=30, limits=limits) as http:
        began, sending = time.monotonic(), []
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            ours = order_ids[number // 5 % len(order_ids)] if order_ids and number % 5 == 0 else None
            sending.append(asyncio.create_task(send(http, _event(ours))))
        await asyncio.gather(*sending)
    return Acknowledged(sorted(taken), refused)
