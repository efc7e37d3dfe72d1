"""Refunds (docs.stripe.com/refunds): they succeed, wait, fail at once or later, and some can be cancelled."""

from typing import Any

from devstack.stripe_standin import shapes
from devstack.stripe_standin.balance import Balance
from devstack.stripe_standin.call import Call, fetch, list_objects, merged_metadata
from devstack.stripe_standin.currencies import check_last_digit, check_positive, shown
from devstack.stripe_standin.errors import invalid_parameter, refused
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.methods import PaymentMethods
from devstack.stripe_standin.store import Object, Store
from devstack.stripe_standin.tasks import Tasks

_GONE = ("failed", "canceled")
_STATUSES = ("succeeded", "pending", "requires_action", "failed")


class Refunds:
    """Create, retrieve, update, cancel, list; and what banks do with refunds."""

    def __init__(
        self, store: Store, events: Events, balance: Balance, methods: PaymentMethods, tasks: Tasks
    ) -> None:
        self._store = store
        self._events = events
        self._balance = balance
        self._methods = methods
        self._tasks = tasks
        tasks.register("fail_refund", self._fail_if_possible)
        tasks.register("settle_refund", self._settle_if_possible)

    def create(self, call: Call) -> Object:
        """`POST /v1/refunds`."""
        return self.make(call.params)

    def make(self, given: dict[str, Any], status: str | None = None) -> Object:
        """A refund; `status` is how it stands at once, else as its card's test number says."""
        if status not in (None, *_STATUSES):
            raise ValueError(f"status must be one of {', '.join(_STATUSES)}")
        charged = self._charge_of(given)
        amount = self._amount_of(given, charged)
        behaviour = self._methods.behaviour(charged["payment_method"]).refund
        made = self._store.insert(shapes.refund(charged, amount, self._store.now(), given))
        decided = status or ("pending" if behaviour == "pending" else "succeeded")
        if decided in ("succeeded", "failed"):
            made = self._pay_out(made)
        elif decided == "pending":
            made = self._store.change(made["id"], pending_reason="processing")
        else:
            made = self._store.change(made["id"], status=decided)
        self._events.emit("refund.created", made)
        self._recount(charged, announce=True)
        if decided == "failed":
            return self.fail(made["id"])
        if behaviour == "fails" and status is None:
            self._tasks.later("fail_refund", made["id"], "refund_fail")
        elif decided == "pending" and status is None:
            self._tasks.later("settle_refund", made["id"], "refund_settle")
        return made

    def retrieve(self, call: Call) -> Object:
        """`GET /v1/refunds/{id}`."""
        return fetch(self._store, "refund", call.object_id)

    def listing(self, call: Call) -> Object:
        """`GET /v1/refunds`."""
        return list_objects(self._store, "refund", call, "charge", "payment_intent")

    def update(self, call: Call) -> Object:
        """`POST /v1/refunds/{id}`: metadata."""
        before = fetch(self._store, "refund", call.object_id)
        metadata = merged_metadata(before["metadata"], call.params.get("metadata"))
        return self._events.change("refund.updated", before["id"], metadata=metadata)

    def cancel(self, call: Call) -> Object:
        """`POST /v1/refunds/{id}/cancel`: only while it waits for the customer."""
        before = fetch(self._store, "refund", call.object_id)
        if before["status"] != "requires_action":
            raise refused(
                f"Refund {before['id']} cannot be canceled because it has a status of {before['status']}."
                " Only refunds with the status requires_action can be canceled."
            )
        self._store.change(before["id"], status="canceled")
        self._recount(self._store.get(before["charge"]))
        canceled = self._store.get(before["id"])
        self._events.emit("refund.updated", canceled, before)
        return canceled

    def settle(self, refund_id: str) -> Object:
        """The bank took a waiting refund; one that has succeeded already stays as it is."""
        before = self._store.get(refund_id)
        if before["status"] == "succeeded":
            return before
        if before["status"] in _GONE:
            raise refused(f"Refund {refund_id} has a status of {before['status']}.")
        settled = self._pay_out(before)
        self._events.emit("refund.updated", settled, before)
        return settled

    def fail(self, refund_id: str, reason: str = "expired_or_canceled_card") -> Object:
        """The bank sent a refund back; money that had left comes back by a movement of its own."""
        before = self._store.get(refund_id)
        if before["status"] in _GONE:
            raise refused(f"Refund {refund_id} has a status of {before['status']}.")
        changes: Object = {"status": "failed", "failure_reason": reason}
        if before["balance_transaction"] is not None:
            changes["failure_balance_transaction"] = self._balance.refund_failure(before)["id"]
        failed = self._without_pending_reason(refund_id, changes)
        self._recount(self._store.get(before["charge"]))
        self._events.emit("refund.updated", failed, before)
        self._events.emit("refund.failed", failed)
        return failed

    def _fail_if_possible(self, refund_id: str) -> None:
        if self._store.get(refund_id)["status"] not in _GONE:
            self.fail(refund_id)

    def _settle_if_possible(self, refund_id: str) -> None:
        if self._store.get(refund_id)["status"] == "pending":
            self.settle(refund_id)

    def _pay_out(self, waiting: Object) -> Object:
        transaction = self._balance.refund(waiting)
        changes = {"status": "succeeded", "balance_transaction": transaction["id"]}
        return self._without_pending_reason(waiting["id"], changes)

    def _without_pending_reason(self, refund_id: str, changes: Object) -> Object:
        return self._store.change(refund_id, drop=("pending_reason",), **changes)

    def _charge_of(self, given: dict[str, Any]) -> Object:
        if "charge" in given:
            charged = fetch(self._store, "charge", given["charge"], "charge")
        elif "payment_intent" in given:
            intent = fetch(self._store, "payment_intent", given["payment_intent"], "payment_intent")
            found = self._store.find(intent["latest_charge"] or "", "charge")
            if found is None or not found["paid"]:
                raise refused(
                    f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                    "payment_intent_unexpected_state",
                    "payment_intent",
                )
            charged = found
        else:
            raise invalid_parameter(
                "One of the following params should be provided for this request: payment_intent or charge.",
                "payment_intent",
                "parameter_missing",
            )
        if not charged["paid"] or not charged["captured"]:
            raise refused(f"Charge {charged['id']} was not paid.", "charge_not_refundable", "charge")
        return charged

    def _amount_of(self, given: dict[str, Any], charged: Object) -> int:
        left = charged["amount_captured"] - self._refunded(charged["id"])
        if left <= 0:
            raise refused(f"Charge {charged['id']} has already been refunded.", "charge_already_refunded")
        if any(not one["is_charge_refundable"] for one in self._store.every("dispute", charge=charged["id"])):
            raise refused(
                f"Charge {charged['id']} has been charged back; cannot issue a refund.", "charge_disputed"
            )
        amount: int = given.get("amount", left)
        check_positive(amount, "amount")
        check_last_digit(amount, charged["currency"], "amount")
        if amount > left:
            currency = charged["currency"]
            raise refused(
                f"Refund amount ({shown(amount, currency)}) is greater than unrefunded amount on charge"
                f" ({shown(left, currency)})",
                param="amount",
            )
        return amount

    def _refunded(self, charge_id: str) -> int:
        refunds = self._store.every("refund", charge=charge_id)
        return sum(one["amount"] for one in refunds if one["status"] not in _GONE)

    def _recount(self, charged: Object, *, announce: bool = False) -> None:
        refunded = self._refunded(charged["id"])
        after = self._store.change(
            charged["id"], amount_refunded=refunded, refunded=refunded >= charged["amount_captured"]
        )
        if announce:
            self._events.emit("charge.refunded", after, charged)
