"""The payment processor: Stripe by its official SDK, with plain values and our own errors."""

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import stripe

from domain.currencies import currency_of
from domain.errors import ProcessorRejected
from domain.reconciliation import BalanceTransaction
from integrations.processor_objects import (
    Charge,
    Dispute,
    IntentNotCancelable,
    PaymentIntent,
    Refund,
    balance_transaction_of,
    dispute_of,
    intent_of,
    refund_of,
    unit_of,
)
from integrations.stripe_calls import call as _call

stripe.enable_telemetry = False  # it would write an id into the home directory

_PAGE = 100
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
# The object behind a movement and its payment say whose it is.
_BEHIND = "source.payment_intent"


class StripePayments:
    """One client per process. Retries belong to Temporal: each call here is one request, but for what the
    gateway reads."""

    def __init__(self, secret_key: str, api_base: str | None = None, timeout_seconds: float = 20) -> None:
        self._http = stripe.HTTPXClient(timeout=timeout_seconds)
        options: dict[str, Any] = {"http_client": self._http, "max_network_retries": 0}
        if api_base is not None:
            options["base_addresses"] = {"api": api_base}
        self._client = stripe.StripeClient(secret_key, **options)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def check(self) -> None:
        """Raise when the processor can't be asked."""
        await _call(self._client.v1.payment_intents.list_async({"limit": 1}))

    async def create_intent(
        self,
        *,
        order_id: str,
        amount: int,
        currency: str,
        idempotency_key: str,
        description: str,
    ) -> PaymentIntent:
        """Make an intent such that a server-side confirm needs only a payment method: no redirects."""
        parameters: dict[str, Any] = {
            "amount": currency_of(currency).to_processor(amount),
            "currency": currency.lower(),
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"order_id": order_id},
            "description": description,
        }
        return intent_of(
            await _call(
                self._client.v1.payment_intents.create_async(
                    parameters,  # type: ignore[arg-type]
                    {"idempotency_key": idempotency_key},
                )
            )
        )

    async def get_intent(self, intent_id: str) -> PaymentIntent:
        """The intent as it stands now.

        The gateway reads it too, where nobody above asks again: a connection that Stripe closed while it was
        idle is tried once more.
        """
        once_more: Any = {"max_network_retries": 1}
        return intent_of(
            await _call(self._client.v1.payment_intents.retrieve_async(intent_id, options=once_more))
        )

    async def get_charge_of(self, intent_id: str) -> Charge | None:
        """The intent's newest charge as it stands now; None when nobody has tried to pay."""
        found = await _call(
            self._client.v1.payment_intents.retrieve_async(intent_id, {"expand": ["latest_charge"]})
        )
        intent = found.to_dict()
        charge = intent.get("latest_charge")
        if not isinstance(charge, dict):
            return None
        return Charge(
            id=charge["id"],
            status=charge["status"],
            reversed=charge.get("failure_balance_transaction") is not None,
            failure_code=charge.get("failure_code"),
            failure_message=charge.get("failure_message"),
            intent_succeeded=intent["status"] == "succeeded",
        )

    async def cancel_intent(self, intent_id: str) -> PaymentIntent:
        """Cancel; a canceled one is success. Raises IntentNotCancelable with the state it has instead.

        Without an idempotency key: Stripe would replay a refusal whose reason has passed.
        """
        try:
            return intent_of(await _call(self._client.v1.payment_intents.cancel_async(intent_id)))
        except ProcessorRejected as refusal:
            if refusal.processor_code != "payment_intent_unexpected_state":
                raise
        intent = await self.get_intent(intent_id)
        if intent.status == "canceled":
            return intent
        raise IntentNotCancelable(intent)

    async def find_intents_by_order(self, order_id: str, created_after: int) -> list[PaymentIntent]:
        """Intents whose metadata names the order, made since `created_after`, newest first."""
        return [
            intent
            async for intent in self.list_intents(created_gte=created_after)
            if intent.metadata.get("order_id") == order_id
        ]

    async def create_refund(
        self,
        *,
        intent_id: str,
        amount: int,
        currency: str,
        refund_id: str,
        order_id: str,
        idempotency_key: str,
    ) -> Refund:
        """Send money back to the payment's method."""
        parameters: dict[str, Any] = {
            "payment_intent": intent_id,
            "amount": currency_of(currency).to_processor(amount),
            "metadata": {"order_id": order_id, "refund_id": refund_id},
        }
        return refund_of(
            await _call(
                self._client.v1.refunds.create_async(
                    parameters,  # type: ignore[arg-type]
                    {"idempotency_key": idempotency_key},
                )
            )
        )

    async def get_dispute(self, provider_id: str) -> Dispute:
        """The dispute as it stands now."""
        return dispute_of(await _call(self._client.v1.disputes.retrieve_async(provider_id)))

    async def submit_evidence(self, provider_id: str, evidence: dict[str, str], idempotency_key: str) -> None:
        """Send evidence to the bank, once; the fields are those of Stripe's dispute evidence."""
        await _call(
            self._client.v1.disputes.update_async(
                provider_id,
                cast(Any, {"evidence": {k: v for k, v in evidence.items() if v}, "submit": True}),
                {"idempotency_key": idempotency_key},
            )
        )

    async def accept_dispute(self, provider_id: str, idempotency_key: str) -> None:
        """Accept the loss."""
        await _call(
            self._client.v1.disputes.close_async(provider_id, {}, {"idempotency_key": idempotency_key})
        )

    async def get_refund(self, provider_refund_id: str) -> Refund:
        """The refund as it stands now."""
        return refund_of(await _call(self._client.v1.refunds.retrieve_async(provider_refund_id)))

    async def find_refund(self, refund_id: str, intent_id: str) -> Refund | None:
        """The refund of this intent whose metadata names ours and that has not failed: found even when a key
        has expired."""
        page = await _call(self._client.v1.refunds.list_async({"payment_intent": intent_id, "limit": _PAGE}))
        found = (refund_of(entry) for entry in page.data)
        standing = (refund for refund in found if refund.status not in ("failed", "canceled"))
        return next((refund for refund in standing if refund.metadata.get("refund_id") == refund_id), None)

    async def get_balance_transaction(self, transaction_id: str) -> BalanceTransaction:
        """One movement of the processor's balance."""
        return balance_transaction_of(
            await _call(
                self._client.v1.balance_transactions.retrieve_async(transaction_id, {"expand": [_BEHIND]})
            )
        )

    async def balance_page(
        self, *, since: datetime, until: datetime, after: str | None
    ) -> tuple[list[BalanceTransaction], bool]:
        """At most 100 movements of `[since, until)`, newest first, and whether there are more; `after` is
        the last one of the page before."""
        parameters: dict[str, Any] = {
            "created": {"gte": math.ceil(since.timestamp()), "lt": math.ceil(until.timestamp())},
            "limit": _PAGE,
            "expand": [f"data.{_BEHIND}"],
        }
        if after is not None:
            parameters["starting_after"] = after
        page = await _call(
            self._client.v1.balance_transactions.list_async(parameters)  # type: ignore[arg-type]
        )
        return [balance_transaction_of(entry) for entry in page.data], bool(page.has_more and page.data)

    async def balance(self) -> dict[str, int]:
        """The account's balance by currency, available and pending, minor units; zeros are left out."""
        found = (await _call(self._client.v1.balance.retrieve_async())).to_dict()
        sums: dict[str, int] = {}
        for part in [*found["available"], *found["pending"]]:
            unit = unit_of(part)
            sums[unit.code] = sums.get(unit.code, 0) + unit.from_processor(part["amount"])
        return {code: amount for code, amount in sums.items() if amount}

    async def read_object(self, collection: str, object_id: str) -> dict[str, Any]:
        """An object as a webhook would carry it: one of `payment_intents`, `charges`, `refunds`,
        `disputes`."""
        service = getattr(self._client.v1, collection)
        found: dict[str, Any] = (await _call(service.retrieve_async(object_id))).to_dict()
        return found

    async def list_intents(self, *, created_gte: int) -> AsyncIterator[PaymentIntent]:
        """All intents made since, newest first."""
        async for entry in self._pages(self._client.v1.payment_intents.list_async, created_gte):
            yield intent_of(entry)

    async def list_disputes(self, *, created_gte: int) -> AsyncIterator[Dispute]:
        """All disputes and inquiries opened since, newest first."""
        async for entry in self._pages(self._client.v1.disputes.list_async, created_gte):
            yield dispute_of(entry)

    async def list_balance_transactions(self, *, created_gte: int) -> AsyncIterator[BalanceTransaction]:
        """All movements since, newest first."""
        since, after, more = datetime.fromtimestamp(created_gte, UTC), None, True
        while more:
            found, more = await self.balance_page(since=since, until=_END_OF_TIME, after=after)
            for transaction in found:
                yield transaction
                after = transaction.id

    async def events_page(
        self, *, since: int, until: int | None, after: str | None
    ) -> tuple[list[dict[str, Any]], bool]:
        """At most 100 events of `[since, until)`, in seconds since the epoch, as they would have come by
        webhook, newest first, and whether there are more; `after` is the last one of the page before. Stripe
        keeps 30 days."""
        created = {"gte": since} if until is None else {"gte": since, "lt": until}
        parameters: dict[str, Any] = {"created": created, "limit": _PAGE}
        if after is not None:
            parameters["starting_after"] = after
        page = await _call(self._client.v1.events.list_async(parameters))  # type: ignore[arg-type]
        return [entry.to_dict() for entry in page.data], bool(page.has_more and page.data)

    async def _pages(self, list_page: Any, created_gte: int) -> AsyncIterator[Any]:
        parameters: dict[str, Any] = {"created": {"gte": created_gte}, "limit": _PAGE}
        while True:
            page = await _call(list_page(parameters))
            for entry in page.data:
                yield entry
            if not page.has_more or not page.data:
                return
            parameters = {**parameters, "starting_after": page.data[-1].id}
