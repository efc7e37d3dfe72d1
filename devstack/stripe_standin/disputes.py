"""Disputes and inquiries (docs.stripe.com/disputes): opened, answered, decided, with their money."""

from typing import Any

from devstack.stripe_standin import shapes
from devstack.stripe_standin.balance import Balance
from devstack.stripe_standin.call import Call, fetch, list_objects, merged_metadata
from devstack.stripe_standin.errors import refused
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.store import Object, Store
from devstack.stripe_standin.tasks import Tasks

_CLOSED = ("won", "lost", "warning_closed", "prevented")
_ANSWERED = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
_DECISIONS = {"winning_evidence": "win_dispute", "losing_evidence": "lose_dispute"}


class Disputes:
    """Retrieve, list, update, close; and what cardholders and banks do."""

    def __init__(self, store: Store, events: Events, balance: Balance, tasks: Tasks) -> None:
        self._store = store
        self._events = events
        self._balance = balance
        self._tasks = tasks
        tasks.register("open_dispute", self.open)
        tasks.register("open_inquiry", lambda charge_id: self.open(charge_id, inquiry=True))
        tasks.register("win_dispute", lambda dispute_id: self._decide_if_open(dispute_id, won=True))
        tasks.register("lose_dispute", lambda dispute_id: self._decide_if_open(dispute_id, won=False))

    def open(
        self,
        charge_id: str,
        *,
        amount: int | None = None,
        reason: str = "fraudulent",
        inquiry: bool = False,
        evidence_days: float = 9,
    ) -> Object:
        """The cardholder disputes a charge, by default all of it (minor units); an inquiry moves no money."""
        charged = fetch(self._store, "charge", charge_id, "charge")
        if not charged["paid"]:
            raise refused(f"Charge {charge_id} was not paid.", param="charge")
        disputed = charged["amount_captured"] if amount is None else amount
        opened = self._store.insert(
            shapes.dispute(
                charged, disputed, reason, self._store.now(), inquiry=inquiry, evidence_days=evidence_days
            )
        )
        self._events.change("charge.updated", charge_id, disputed=True)
        if not inquiry:
            opened = self._with_movement(opened, self._balance.dispute(opened))
        self._events.emit("charge.dispute.created", opened)
        if not inquiry:
            self._events.emit("charge.dispute.funds_withdrawn", opened)
        return opened

    def escalate(self, dispute_id: str) -> Object:
        """An inquiry becomes a dispute: now the money is withdrawn."""
        before = self._open_one(dispute_id)
        if not before["status"].startswith("warning_"):
            raise refused(f"Dispute {dispute_id} is no inquiry.")
        self._with_movement(before, self._balance.dispute(before))
        details = before["payment_method_details"]
        after = self._store.change(
            dispute_id,
            status="needs_response",
            is_charge_refundable=False,
            payment_method_details=details | {"card": details["card"] | {"case_type": "chargeback"}},
        )
        self._events.emit("charge.dispute.updated", after, before)
        self._events.emit("charge.dispute.funds_withdrawn", after)
        return after

    def decide(self, dispute_id: str, *, won: bool, fee_returned: int = 0) -> Object:
        """The bank decides; a win brings the amount back. An inquiry is just closed."""
        before = self._open_one(dispute_id)
        if before["status"].startswith("warning_"):
            return self._close(before, "warning_closed")
        if not won:
            return self._close(before, "lost")
        reinstated = self._with_movement(before, self._balance.dispute_reversal(before, fee_returned))
        reinstated = self._store.change(dispute_id, status="won", is_charge_refundable=True)
        self._events.emit("charge.dispute.funds_reinstated", reinstated, before)
        return self._close(before, "won")

    def prevent(self, dispute_id: str, *, returned: bool) -> Object:
        """The dispute is settled before the bank decides; with `returned` the withdrawn money comes back."""
        before = self._open_one(dispute_id)
        if returned:
            before = self._with_movement(before, self._balance.dispute_reversal(before, 0))
            self._events.emit("charge.dispute.funds_reinstated", before)
        return self._close(before, "prevented")

    def retrieve(self, call: Call) -> Object:
        """`GET /v1/disputes/{id}`."""
        return fetch(self._store, "dispute", call.object_id)

    def listing(self, call: Call) -> Object:
        """`GET /v1/disputes`."""
        return list_objects(self._store, "dispute", call, "charge", "payment_intent")

    def update(self, call: Call) -> Object:
        """`POST /v1/disputes/{id}`: evidence is sent to the bank at once unless `submit` is false."""
        before, params = fetch(self._store, "dispute", call.object_id), call.params
        changes: Object = {"metadata": merged_metadata(before["metadata"], params.get("metadata"))}
        if "intended_submission_method" in params:
            changes["intended_submission_method"] = params["intended_submission_method"]
        if "evidence" in params or params.get("submit"):
            self._open_one(before["id"])
            changes |= self._evidence(before, params)
        return self._events.change("charge.dispute.updated", before["id"], **changes)

    def _evidence(self, before: Object, params: dict[str, Any]) -> Object:
        given = {name: value or None for name, value in params.get("evidence", {}).items()}
        given.pop("enhanced_evidence", None)
        evidence = before["evidence"] | given
        details = before["evidence_details"] | {"has_evidence": any(evidence.values())}
        changes: Object = {"evidence": evidence, "evidence_details": details}
        if not params.get("submit", True):
            return changes
        if before["status"] not in _ANSWERED:
            raise refused(f"Evidence for dispute {before['id']} has been submitted already.", param="submit")
        details |= {"submission_count": details["submission_count"] + 1, "submission_method": "manual"}
        decision = _DECISIONS.get(evidence["uncategorized_text"] or "")
        if decision is not None:
            self._tasks.later(decision, before["id"], "decision")
        return changes | {"evidence_details": details, "status": _ANSWERED[before["status"]]}

    def close(self, call: Call) -> Object:
        """`POST /v1/disputes/{id}/close`: accept the loss."""
        before = fetch(self._store, "dispute", call.object_id)
        self._open_one(before["id"])
        inquiry = before["status"].startswith("warning_")
        return self._close(before, "warning_closed" if inquiry else "lost")

    def _open_one(self, dispute_id: str) -> Object:
        found = fetch(self._store, "dispute", dispute_id)
        if found["status"] in _CLOSED:
            raise refused(f"This dispute is already closed: it has a status of {found['status']}.")
        return found

    def _decide_if_open(self, dispute_id: str, *, won: bool) -> None:
        if self._store.get(dispute_id)["status"] not in _CLOSED:
            self.decide(dispute_id, won=won)

    def _close(self, before: Object, status: str) -> Object:
        closed = self._store.change(before["id"], status=status)
        self._events.emit("charge.dispute.closed", closed, before)
        return closed

    def _with_movement(self, disputed: Object, transaction: Object) -> Object:
        movements = [*disputed["balance_transactions"], self._balance.shown(transaction)]
        return self._store.change(disputed["id"], balance_transactions=movements)
