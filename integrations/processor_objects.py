"""Stripe's objects as plain values of ours: read once, checked, in ISO 4217's units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.currencies import Currency, currency_of
from domain.errors import ProcessorRejected, ProcessorUnavailable
from domain.ids import foreign_refund_id
from domain.reconciliation import BalanceTransaction


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


def unit_of(values: Mapping[str, Any]) -> Currency:
    """The processor counts a few currencies in other units than ISO 4217."""
    return currency_of(values["currency"].upper())


def intent_of(found: Any) -> PaymentIntent:
    """A payment intent of the SDK."""
    values = _plain(found)
    unit = unit_of(values)
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


def dispute_of(found: Any) -> Dispute:
    """A dispute of the SDK, with its movements of money."""
    values = _plain(found)
    unit = unit_of(values)
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


def refund_of(found: Any) -> Refund:
    """A refund of the SDK."""
    values = _plain(found)
    unit = unit_of(values)
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


def balance_transaction_of(found: Any) -> BalanceTransaction:
    """A balance transaction of the SDK, with whose it is, where what is behind it says so."""
    values = _plain(found)
    unit = unit_of(values)
    source = values.get("source")
    behind: dict[str, Any] = source if isinstance(source, dict) else {}
    intent = behind.get("payment_intent")
    metadata = dict(behind.get("metadata") or {})
    if isinstance(intent, dict):
        metadata = dict(intent.get("metadata") or {}) | metadata
    own = unit_of(behind) if isinstance(behind.get("currency"), str) else unit
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
