"""The payment processor: Stripe by its official SDK, as plain values and our own errors."""

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import stripe

from domain.currencies import Currency, currency_of
from domain.errors import ProcessorRejected, ProcessorUnavailable
from domain.ids import foreign_refund_id
from domain.reconciliation import BalanceTransaction
from integrations.stripe_calls import call as _call

stripe.enable_telemetry = False  # it would write an id into the home directory

_PAGE = 100
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
# The object behind a movement and its payment say whose it is.
_BEHIND = "source.payment_intent"


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """A payment intent; amounts in minor units, currency in capitals. The secret stays out of logs."""

    id: str
    status: str
    amount: int
    amount_received: int
    currency: str
    metadata: dict[str, str]
    latest_charge: str | None
    last_error_code: str | None
    last_error_message: str | None
    created: int
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund at the processor."""

    id: str
    status: str
    amount: int
    currency: str
    failure_reason: str | None
    payment_intent: str | None
    balance_transaction: str | None
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Charge:
    """The newest charge of an intent. `reversed`: the processor took back what it had credited for it, as
    when a bank returns a debit; `intent_succeeded`: the intent still says that it succeeded."""

    id: str
    status: str
    reversed: bool
    failure_code: str | None
    failure_message: str | None
    intent_succeeded: bool


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute at the processor, with what its balance transactions say: withdrawn and reinstated amounts,
    the fee and what of it was returned; positive minor units."""

    id: str
    status: str
    amount: int
    currency: str
    reason: str
    payment_intent: str | None
    evidence_due_by: int | None
    withdrawn: int
    fee: int
    reinstated: int
    fee_returned: int
    fee_currency: str

    @property
    def is_decided(self) -> bool:
        """Whether the processor says that it is over, however it ended."""
        return self.status in ("won", "lost", "warning_closed", "prevented")


class IntentNotCancelable(ProcessorRejected):
    """The intent is processing or succeeded; `intent` is how it stands now."""

    def __init__(self, intent: PaymentIntent) -> None:
        super().__init__(f"the intent is {intent.status}", processor_code="payment_intent_unexpected_state")
        self.intent = intent


def _plain(found: Any) -> dict[str, Any]:
    values = found.to_dict()
    if type(values.get("amount")) is not int or not isinstance(values.get("currency"), str):
        raise ProcessorUnavailable("the processor's answer has no amount or currency")
    return dict(values)


def _id_of(value: Any) -> str | None:
    found = value["id"] if isinstance(value, dict) else value
    return None if found is None else str(found)


def received(intent: Mapping[str, Any]) -> tuple[int, str]:
    """What an intent of an event received: ISO 4217's minor units, and the currency in capitals."""
    currency = str(intent["currency"]).upper()
    return currency_of(currency).from_processor(int(intent["amount_received"])), currency


def _unit(values: Mapping[str, Any]) -> Currency:
    """The processor counts a few currencies in other units than ISO 4217."""
    return currency_of(values["currency"].upper())


def _intent(found: Any) -> PaymentIntent:
    values = _plain(found)
    unit = _unit(values)
    error = values.get("last_payment_error") or {}
    return PaymentIntent(
        id=values["id"],
        status=values["status"],
        amount=unit.from_processor(values["amount"]),
        amount_received=unit.from_processor(values.get("amount_received") or 0),
        currency=unit.code,
        metadata=dict(values.get("metadata") or {}),
        latest_charge=_id_of(values.get("latest_charge")),
        last_error_code=error.get("decline_code") or error.get("code"),
        last_error_message=error.get("message"),
        created=values["created"],
        client_secret=values.get("client_secret"),
    )


def _dispute(found: Any) -> Dispute:
    values = _plain(found)
    unit = _unit(values)
    moved = values.get("balance_transactions") or []
    out = [one for one in moved if one["reporting_category"] == "dispute"]
    back = [one for one in moved if one["reporting_category"] == "dispute_reversal"]
    amount = unit.from_processor(values["amount"])
    settled = currency_of(moved[0]["currency"].upper()) if moved else unit

    def principal(transactions: list[dict[str, Any]]) -> int:
        """In the dispute's currency: what was settled in another one stands for the whole amount."""
        if settled.code != unit.code:
            return amount if transactions else 0
        return abs(sum(unit.from_processor(one["amount"]) for one in transactions))

    return Dispute(
        id=values["id"],
        status=values["status"],
        amount=amount,
        currency=unit.code,
        reason=values.get("reason") or "general",
        payment_intent=_id_of(values.get("payment_intent")),
        evidence_due_by=(values.get("evidence_details") or {}).get("due_by"),
        withdrawn=principal(out),
        fee=sum(settled.from_processor(one["fee"]) for one in out),
        reinstated=principal(back),
        fee_returned=-sum(settled.from_processor(one["fee"]) for one in back),
        fee_currency=settled.code,
    )


def _refund(found: Any) -> Refund:
    values = _plain(found)
    unit = _unit(values)
    return Refund(
        id=values["id"],
        status=values.get("status") or "pending",
        amount=unit.from_processor(values["amount"]),
        currency=unit.code,
        failure_reason=values.get("failure_reason"),
        payment_intent=_id_of(values.get("payment_intent")),
        balance_transaction=_id_of(values.get("balance_transaction")),
        metadata=dict(values.get("metadata") or {}),
    )


def _balance_transaction(found: Any) -> BalanceTransaction:
    values = _plain(found)
    unit = _unit(values)
    source = values.get("source")
    behind: dict[str, Any] = source if isinstance(source, dict) else {}
    intent = behind.get("payment_intent")
    metadata = dict(behind.get("metadata") or {})
    if isinstance(intent, dict):
        metadata = dict(intent.get("metadata") or {}) | metadata
    own = _unit(behind) if isinstance(behind.get("currency"), str) else unit
    # A charge of which only a part was captured moves that part.
    amount = behind.get("amount_captured", behind.get("amount"))
    available_on = values.get("available_on")
    return BalanceTransaction(
        id=values["id"],
        amount=unit.from_processor(values["amount"]),
        fee=unit.from_processor(values["fee"]),
        net=unit.from_processor(values["net"]),
        currency=unit.code,
        reporting_category=values["reporting_category"],
        source=_id_of(source),
        created=datetime.fromtimestamp(values["created"], UTC),
        available_on=None if available_on is None else datetime.fromtimestamp(available_on, UTC),
        source_amount=own.from_processor(amount) if type(amount) is int else None,
        source_currency=own.code,
        intent_id=_id_of(intent),
        order_id=_uuid_of(metadata.get("order_id")),
        refund_id=_refund_id(behind),
    )


def _refund_id(behind: dict[str, Any]) -> str | None:
    """Our refund behind a movement: named in its metadata, or made at the processor itself."""
    if behind.get("object") != "refund":
        return None
    named = _uuid_of((behind.get("metadata") or {}).get("refund_id"))
    return named or foreign_refund_id(behind["id"], behind["created"])


def _uuid_of(value: Any) -> str | None:
    """An id of ours in metadata, where anybody may have written anything."""
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


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
        return _intent(
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
        return _intent(
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
            return _intent(await _call(self._client.v1.payment_intents.cancel_async(intent_id)))
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
        return _refund(
            await _call(
                self._client.v1.refunds.create_async(
                    parameters,  # type: ignore[arg-type]
                    {"idempotency_key": idempotency_key},
                )
            )
        )

    async def get_dispute(self, provider_id: str) -> Dispute:
        """The dispute as it stands now."""
        return _dispute(await _call(self._client.v1.disputes.retrieve_async(provider_id)))

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
        return _refund(await _call(self._client.v1.refunds.retrieve_async(provider_refund_id)))

    async def find_refund(self, refund_id: str, intent_id: str) -> Refund | None:
        """The refund of this intent whose metadata names ours and that has not failed: found even when a key
        has expired."""
        page = await _call(self._client.v1.refunds.list_async({"payment_intent": intent_id, "limit": _PAGE}))
        found = (_refund(entry) for entry in page.data)
        standing = (refund for refund in found if refund.status not in ("failed", "canceled"))
        return next((refund for refund in standing if refund.metadata.get("refund_id") == refund_id), None)

    async def get_balance_transaction(self, transaction_id: str) -> BalanceTransaction:
        """One movement of the processor's balance."""
        return _balance_transaction(
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
        return [_balance_transaction(entry) for entry in page.data], bool(page.has_more and page.data)

    async def balance(self) -> dict[str, int]:
        """The account's balance by currency, available and pending, minor units; zeros are left out."""
        found = (await _call(self._client.v1.balance.retrieve_async())).to_dict()
        sums: dict[str, int] = {}
        for part in [*found["available"], *found["pending"]]:
            unit = _unit(part)
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
            yield _intent(entry)

    async def list_disputes(self, *, created_gte: int) -> AsyncIterator[Dispute]:
        """All disputes and inquiries opened since, newest first."""
        async for entry in self._pages(self._client.v1.disputes.list_async, created_gte):
            yield _dispute(entry)

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
