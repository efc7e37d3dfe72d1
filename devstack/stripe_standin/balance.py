"""The account's balance: every movement is a balance transaction.

Types and reporting categories are those of docs.stripe.com/reports/balance-transaction-types.
"""

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

from devstack.stripe_standin.currencies import processing_fee
from devstack.stripe_standin.store import Object, Store, new_id

_AVAILABLE_AFTER_SECONDS = 2 * 86400
DISPUTE_FEE = 1500
"""Minor units of the dispute's currency; not given back, as Stripe does in most countries."""


class Balance:
    """Records movements. A negative amount leaves the account; net is amount less fee."""

    def __init__(self, store: Store, account_currency: str) -> None:
        self._store = store
        self._account_currency = account_currency

    def charge(self, charged: Object) -> Object:
        """A captured charge, less the processing fee."""
        amount = charged["amount_captured"]
        kind = "charge" if charged["payment_method_details"]["type"] == "card" else "payment"
        fee = processing_fee(amount, charged["currency"])
        return self._record(kind, "charge", charged, amount, fee, "Stripe processing fees")

    def charge_failure(self, charged: Object) -> Object:
        """What was credited for a charge that failed after all is taken back; the fee stays."""
        return self._record("payment_failure_refund", "charge_failure", charged, -charged["amount_captured"])

    def refund(self, refunded: Object) -> Object:
        """Money sent back; the fee stays with the processor."""
        kind = "payment_refund" if refunded["id"].startswith("pyr_") else "refund"
        return self._record(kind, "refund", refunded, -refunded["amount"])

    def refund_failure(self, refunded: Object) -> Object:
        """The money of a refund that failed comes back."""
        kind = "payment_failure_refund" if refunded["id"].startswith("pyr_") else "refund_failure"
        return self._record(kind, "refund_failure", refunded, refunded["amount"])

    def dispute(self, disputed: Object) -> Object:
        """The bank takes the disputed amount, the processor its fee."""
        return self._record(
            "adjustment", "dispute", disputed, -disputed["amount"], DISPUTE_FEE, "Dispute fee"
        )

    def dispute_reversal(self, disputed: Object, fee_returned: int = 0) -> Object:
        """A won dispute's amount comes back, in some countries with a part of the fee."""
        return self._record(
            "adjustment",
            "dispute_reversal",
            disputed,
            disputed["amount"],
            -fee_returned,
            "Dispute fee returned",
        )

    def payout(self, paid_out: Object) -> Object:
        """Money goes to the account's bank."""
        return self._record("payout", "payout", paid_out, -paid_out["amount"])

    def payout_failure(self, paid_out: Object) -> Object:
        """The bank sends a payout back."""
        return self._record("payout_failure", "payout_reversal", paid_out, paid_out["amount"])

    def adjust(self, amount: int, currency: str, category: str) -> Object:
        """A movement without an object of its own: a fee (negative), or any category that is asked for."""
        kind = "stripe_fee" if category == "fee" else "adjustment"
        return self._record(kind, category, {"id": None, "currency": currency}, amount)

    def set_settlement(self, currency: str, rate: str, of: str) -> None:
        """From now on what moves in currency `of` settles in `currency`, at `rate` for one minor unit."""
        rates = self._store.setting("settlement", {})
        self._store.set_setting("settlement", rates | {of: [currency, rate]})

    def shown(self, transaction: Object) -> Object:
        """A balance transaction as it stands now: pending ones become available by the clock."""
        due = transaction["available_on"] <= self._store.now()
        return transaction | {"status": "available" if due else "pending"}

    def totals(self) -> Object:
        """The balance object: net sums by currency, pending and available."""
        sums: dict[str, dict[str, int]] = {
            "available": defaultdict(int, {self._account_currency: 0}),
            "pending": defaultdict(int, {self._account_currency: 0}),
        }
        for transaction in self._store.every("balance_transaction"):
            sums[self.shown(transaction)["status"]][transaction["currency"]] += transaction["net"]
        shown = {
            status: [
                {"amount": amount, "currency": currency, "source_types": {"card": amount}}
                for currency, amount in by_currency.items()
            ]
            for status, by_currency in sums.items()
        }
        return {"object": "balance", "livemode": False, **shown}

    def _record(
        self, kind: str, category: str, source: Object, amount: int, fee: int = 0, fee_text: str | None = None
    ) -> Object:
        now, currency, rate = self._store.now(), source["currency"], None
        if currency in (settled := self._store.setting("settlement", {})):
            currency, rate = settled[currency]
            amount = _converted(amount, rate)
            fee = _converted(fee, rate)
        details = {"amount": fee, "application": None, "currency": currency, "description": fee_text}
        return self._store.insert(
            {
                "id": new_id("txn"),
                "object": "balance_transaction",
                "amount": amount,
                "available_on": now + (_AVAILABLE_AFTER_SECONDS if category == "charge" else 0),
                "balance_type": "payments",
                "created": now,
                "currency": currency,
                "description": source.get("description"),
                "exchange_rate": None if rate is None else float(rate),
                "fee": fee,
                "fee_details": [details | {"type": "stripe_fee"}] if fee else [],
                "net": amount - fee,
                "reporting_category": category,
                "source": source["id"],
                "status": "pending",
                "type": kind,
            }
        )


def _converted(amount: int, rate: str) -> int:
    exact = Decimal(amount) * Decimal(rate)
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
