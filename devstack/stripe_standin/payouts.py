"""Payouts to the account's bank (docs.stripe.com/payouts), as far as their money goes."""

from devstack.stripe_standin.balance import Balance
from devstack.stripe_standin.errors import refused
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.store import Object, Store, new_id


class Payouts:
    """Pays out when a button is pressed; the bank may send the money back."""

    def __init__(self, store: Store, events: Events, balance: Balance) -> None:
        self._store = store
        self._events = events
        self._balance = balance

    def pay(self, amount: int, currency: str = "usd") -> Object:
        """Pay `amount` minor units out; the payout, paid already."""
        now = self._store.now()
        made = self._store.insert(
            {
                "id": new_id("po"),
                "object": "payout",
                "amount": amount,
                "application_fee": None,
                "application_fee_amount": None,
                "arrival_date": now,
                "automatic": False,
                "balance_transaction": None,
                "created": now,
                "currency": currency,
                "description": "STRIPE PAYOUT",
                "destination": None,
                "failure_balance_transaction": None,
                "failure_code": None,
                "failure_message": None,
                "livemode": False,
                "metadata": {},
                "method": "standard",
                "original_payout": None,
                "payout_method": None,
                "reconciliation_status": "not_applicable",
                "reversed_by": None,
                "source_type": "card",
                "statement_descriptor": None,
                "status": "pending",
                "trace_id": None,
                "type": "bank_account",
            }
        )
        transaction = self._balance.payout(made)
        made = self._store.change(made["id"], balance_transaction=transaction["id"])
        self._events.emit("payout.created", made)
        return self._events.change("payout.paid", made["id"], status="paid")

    def fail(self, payout_id: str) -> Object:
        """The bank refuses a payout: its money comes back."""
        before = self._store.get(payout_id)
        if before["status"] == "failed":
            raise refused(f"Payout {payout_id} has failed already.")
        returned = self._balance.payout_failure(before)
        return self._events.change(
            "payout.failed",
            payout_id,
            status="failed",
            failure_code="account_closed",
            failure_message="The bank account has been closed.",
            failure_balance_transaction=returned["id"],
        )
