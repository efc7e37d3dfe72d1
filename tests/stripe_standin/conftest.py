"""One stand-in for a test process, driven by the official SDK; its answers are held against the schema."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.oracles import check_answer, check_event, check_sdk
from tests.stripe_standin.process import Receiver, Standin

stripe.enable_telemetry = False
NO_REDIRECTS: dict[str, Any] = {"enabled": True, "allow_redirects": "never"}


@dataclass(frozen=True)
class Seen:
    """One answer of the stand-in."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: Any


class WatchingClient(stripe.HTTPXClient):
    """The SDK's own HTTP client, noting what came back."""

    def __init__(self) -> None:
        super().__init__(timeout=20)
        self.seen: list[Seen] = []

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        content, status, answered = await super().request_async(method, url, headers, post_data)
        path = urlsplit(url).path
        # A server that is told to end says 500 without JSON to what it can't finish.
        body = json.loads(content) if content.startswith(b"{") else None
        self.seen.append(Seen(method.upper(), path, status, answered, body))
        return content, status, answered


class Api:
    """The SDK's client and short ways to what most tests need."""

    def __init__(self, url: str, key: str = "sk_test_tests") -> None:
        self.http = WatchingClient()
        self.client = stripe.StripeClient(
            key, base_addresses={"api": url}, http_client=self.http, max_network_retries=0
        )
        self.v1 = self.client.v1

    @property
    def last(self) -> Seen:
        """The newest answer."""
        return self.http.seen[-1]

    async def intent(
        self, amount: int = 2000, currency: str = "usd", key: str | None = None, **more: Any
    ) -> stripe.PaymentIntent:
        """A new intent that takes no redirects."""
        params: Any = {
            "amount": amount,
            "currency": currency,
            "automatic_payment_methods": NO_REDIRECTS,
            **more,
        }
        return await self.v1.payment_intents.create_async(params, {"idempotency_key": key} if key else None)

    async def pay(
        self, intent: stripe.PaymentIntent, method: str = "pm_card_visa", **more: Any
    ) -> stripe.PaymentIntent:
        """Confirm with a payment method."""
        return await self.v1.payment_intents.confirm_async(intent.id, {"payment_method": method, **more})

    async def paid(
        self, amount: int = 2000, method: str = "pm_card_visa", **more: Any
    ) -> stripe.PaymentIntent:
        """A new intent, confirmed."""
        return await self.pay(await self.intent(amount, **more), method)

    async def events_about(self, object_id: str) -> list[str]:
        """Types of the newest events about an object itself, oldest first."""
        found = (await self.v1.events.list_async({"limit": 100})).data
        return [event.type for event in reversed(found) if event.data.object["id"] == object_id]

    def check_all(self) -> None:
        """Hold everything that came back against the schema and the SDK's types."""
        for one in self.http.seen:
            check_answer(one.method, one.path, one.status, one.body)
            if one.status < 400:
                check_sdk(one.body)
            assert one.headers["request-id"].startswith("req_")
        self.http.seen.clear()


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Standin]:
    """The server that the tests of this process share: each makes its own objects."""
    found = Standin(tmp_path_factory.mktemp("stripe"), receiver.url)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
async def shared_api(standin: Standin) -> AsyncIterator[Api]:
    found = Api(standin.url)
    yield found
    await found.http.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
async def api(shared_api: Api, receiver: Receiver) -> AsyncIterator[Api]:
    """The SDK's client; afterwards every answer and every delivery is checked."""
    shared_api.http.seen.clear()
    receiver.received.clear()
    yield shared_api
    shared_api.check_all()
    for delivery in list(receiver.received):
        check_event(delivery.event)


@pytest.fixture(scope="session")
async def shared_control(standin: Standin) -> AsyncIterator[StripeControl]:
    async with StripeControl(standin.url) as found:
        await found.set_timing(dispute=0.05, refund_fail=0.05, bank_balance=0.05, decision=0.05)
        yield found


@pytest.fixture
async def control(shared_control: StripeControl) -> AsyncIterator[StripeControl]:
    """The buttons; afterwards nothing is left spoilt."""
    yield shared_control
    await shared_control.clear_faults()
    await shared_control.clear_chaos()
    await shared_control.resume_deliveries()
    await shared_control.set_clock_offset(0)


@pytest.fixture
def own_standin(tmp_path: Path, receiver: Receiver) -> Iterator[Standin]:
    """A server that the test may kill, not started yet."""
    found = Standin(tmp_path / "data", receiver.url)
    yield found
    found.stop()
