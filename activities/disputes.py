"""Steps of a dispute: follow the processor, freeze and free, book what was won or lost, answer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities import refund_books
from activities.boundary import Transaction, Transactions, translated
from activities.credit_notes import dispute_draft
from activities.earnings import ledger_of, post_outcome
from activities.parked_refunds import wake_parked
from activities.resolutions import wake_questions
from domain import ids
from domain.errors import CommerceError, ExternalError, ProcessorRejected, ProcessorUnavailable
from domain.event_data import DisputeData
from domain.event_keys import dispute_cause
from domain.ledger import lose_dispute, open_dispute, win_dispute
from domain.messages import DisputeInput
from domain.money import as_read
from domain.orders import PaymentState
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms
from integrations.payments import StripePayments
from integrations.processor_objects import Dispute
from models.queries import (
    catalog,
    disputes,
    documents,
    double_purchases,
    entitlements,
    order_lines,
    orders,
    payments,
)
from models.queries.disputes import DisputeRow
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.outbox import Publication

SUSPEND = "suspend"
_REMIND_BEFORE = timedelta(days=2)
_SUBMIT_BEFORE = timedelta(days=1)


@dataclass(frozen=True)
class DisputeView:
    """Where a dispute stands, as its workflow sees it; amount in minor units, times in seconds since the
    epoch. `remind_at` is None when nobody has to be reminded, `submit_at` when nothing goes out by itself;
    `ended` says why it is none of ours."""

    dispute_id: str = ""
    order_id: str = ""
    order_number: str = ""
    user_id: str = ""
    state: str = ""
    status: str = ""
    amount: int = 0
    currency: str = ""
    line_ids: tuple[str, ...] = ()
    course_ids: tuple[str, ...] = ()
    remind_at: float | None = None
    submit_at: float | None = None
    answerable: bool = False
    over: bool = False
    wished: bool = False
    ended: str | None = None


class DisputeActivities:
    """Steps of the dispute workflow."""

    def __init__(
        self,
        transactions: Transactions,
        api: StripePayments,
        lms: Lms,
        dispatcher: Dispatcher,
        *,
        access: str,
        seller: dict[str, str],
    ) -> None:
        """`access` is `suspend` or `keep`: what an open dispute does to the access it was paid for."""
        self._transactions = transactions
        self._api = api
        self._lms = lms
        self._dispatcher = dispatcher
        self._access = access
        self._seller = seller

    @activity.defn
    @translated
    async def follow_dispute(self, given: DisputeInput) -> DisputeView:
        """Read the dispute at the processor and bring rows, ledger and access in line with it.

        Events come in any order, so none is believed: what the dispute's own balance transactions say is
        posted, each once. Under the order's lock, which refunds take too.
        """
        found = await self._api.get_dispute(given.provider_id)
        async with self._transactions.begin() as tx:
            payment = await payments.by_intent(tx.session, found.payment_intent or "")
            if payment is None:
                return DisputeView(ended="it is not about a payment of ours", over=True)
            row = await refund_books.require_order(tx, payment.order_id)
            if row.payment_state in (PaymentState.PENDING, PaymentState.PROCESSING):
                raise ProcessorUnavailable("the payment was not taken in yet")
            await disputes.see(
                tx.session,
                provider_id=found.id,
                order_id=row.id,
                payment_id=payment.id,
                amount=found.amount,
                currency=found.currency,
                reason=found.reason,
                status=found.status,
                evidence_due_by=_moment(found.evidence_due_by),
            )
            if payment.applied:
                await self._follow(tx, row, found)
            else:
                await _keep_only(tx, row, found)
            return await _view(tx, given.provider_id)

    async def _follow(self, tx: Transaction, row: OrderRow, found: Dispute) -> None:
        dispute = await _require(tx, found.id)
        if found.withdrawn and not dispute.withdrawn:
            await self._open(tx, row, dispute, found)
            dispute = await _require(tx, found.id)
        decided = dispute.state == disputes.OPEN and found.is_decided
        # One that was prevented, or that the bank withdrew, counts by what came back of the money.
        if decided and (found.reinstated if found.status == "won" else found.reinstated >= dispute.withdrawn):
            await self._win(tx, row, dispute, found)
        elif decided and found.status != "won":
            await self._lose(tx, row, dispute, found)
        elif dispute.state == disputes.INQUIRY and found.status in ("warning_closed", "prevented"):
            await disputes.set_state(tx.session, dispute.id, disputes.CLOSED)
            await _note(tx, row, found, "closed", "The inquiry was closed; no money moved.")
        elif dispute.state == disputes.INQUIRY:
            await _note(tx, row, found, "inquiry", f"The bank inquires ({found.reason}); no money moved.")

    async def _open(self, tx: Transaction, row: OrderRow, dispute: DisputeRow, found: Dispute) -> None:
        lines = await order_lines.of_order(tx.session, row.id, lock=True)
        outcome = open_dispute(
            found.id,
            [ledger_of(line, row.currency) for line in lines],
            amount=found.withdrawn,
            fee=found.fee,
            fee_currency=found.fee_currency,
        )
        await post_outcome(tx, outcome, row, lines, reason="dispute")
        suspended: list[str] = []
        if self._access == SUSPEND:
            suspended = await entitlements.active_lines(tx.session, row.id)
            await entitlements.unjustify(tx.session, suspended)
        await disputes.set_withdrawn(tx.session, dispute.id, found.withdrawn, suspended)
        await disputes.set_state(tx.session, dispute.id, disputes.OPEN)
        await disputes.set_order_axis(tx.session, row.id)
        access = " Access is suspended." if suspended else ""
        await _note(
            tx,
            row,
            found,
            "opened",
            f"The bank took {as_read(found.withdrawn, found.currency)} back: {found.reason}.{access}",
        )
        _publish(tx, row, found, "dispute.opened")

    async def _win(self, tx: Transaction, row: OrderRow, dispute: DisputeRow, found: Dispute) -> None:
        lines = await order_lines.of_order(tx.session, row.id, lock=True)
        outcome = win_dispute(
            found.id,
            [ledger_of(line, row.currency) for line in lines],
            amount=found.reinstated,
            fee_refund=found.fee_returned,
            fee_currency=found.fee_currency,
        )
        await post_outcome(tx, outcome, row, lines, reason="dispute won")
        await disputes.set_state(tx.session, dispute.id, disputes.WON)
        await disputes.set_order_axis(tx.session, row.id)
        await self._give_access_back(tx, row)
        await _note(tx, row, found, "won", f"Won: {as_read(found.reinstated, found.currency)} came back.")
        _publish(tx, row, found, "dispute.won")

    async def _lose(self, tx: Transaction, row: OrderRow, dispute: DisputeRow, found: Dispute) -> None:
        lines = await order_lines.of_order(tx.session, row.id, lock=True)
        cause = dispute_cause(found.id)
        outcome = lose_dispute(
            found.id, [ledger_of(line, row.currency) for line in lines], amount=dispute.withdrawn
        )
        await post_outcome(tx, outcome, row, lines, reason="dispute lost")
        tx.issue(
            await dispute_draft(
                tx.session,
                row,
                {state.line: taking.gross for state in outcome.lines if (taking := state.taking(cause))},
                dispute_id=dispute.id,
                provider_id=found.id,
                seller=self._seller,
            )
        )
        await disputes.set_state(tx.session, dispute.id, disputes.LOST)
        await disputes.set_order_axis(tx.session, row.id)
        await _end_what_is_gone(tx, row)
        await self._give_access_back(tx, row)
        await _note(tx, row, found, "lost", f"Lost: {as_read(dispute.withdrawn, found.currency)} is gone.")
        _publish(tx, row, found, "dispute.lost")

    async def _give_access_back(self, tx: Transaction, row: OrderRow) -> None:
        """What was suspended for the order's disputes, as far as it is still paid for."""
        lines = await order_lines.of_order(tx.session, row.id)
        paid = {line.id for line in lines if not ledger_of(line, row.currency).nothing_left}
        if row.payment_state is not PaymentState.PAID or await disputes.is_disputed(tx.session, row.id):
            return  # another one is open: its end gives back what any of them suspended
        suspended = await disputes.suspended_lines(tx.session, row.id)
        await entitlements.justify_again(tx.session, [line_id for line_id in suspended if line_id in paid])
        tx.questions += await double_purchases.ask(tx.session, row.user_id)

    @activity.defn
    @translated
    async def assemble_evidence(self, given: DisputeInput) -> None:
        """Put together what speaks for us: order, receipt and buyer, access and progress at the LMS.

        Once: later the LMS may know of no progress any more, because the access was suspended.
        """
        async with self._transactions.begin() as tx:
            dispute = await _require(tx, given.provider_id)
            if dispute.evidence is not None:
                return
            row = await refund_books.require_order(tx, dispute.order_id)
            lines = await order_lines.of_order(tx.session, row.id)
            facts = await disputes.evidence_facts(tx.session, row.id)
            receipt = await documents.of_sale(tx.session, row.id)
        log = [f"{facts.registered_at:%Y-%m-%d %H:%M} UTC: registered"]
        log += [
            f"{at:%Y-%m-%d %H:%M} UTC: access to {course} {status}" for course, status, at in facts.accesses
        ]
        for course, _, _ in facts.accesses:
            log.append(f"progress in {course}: {await self._progress(row, course)}")
        address = ", ".join(str(value) for value in row.billing_address.values() if isinstance(value, str))
        evidence = {
            "product_description": "; ".join(f"{line.title} ({line.lms_course_id})" for line in lines),
            "customer_name": facts.full_name,
            "customer_email_address": facts.email or "",
            "billing_address": address,
            "service_date": "" if row.paid_at is None else f"{row.paid_at:%Y-%m-%d}",
            "access_activity_log": "\n".join(log),
            "uncategorized_text": (
                f"Order {row.number} of {row.created_at:%Y-%m-%d}, {as_read(row.amount_paid, row.currency)}, "
                "a digital course whose access was given at once."
            ),
        }
        if receipt is not None:
            evidence["uncategorized_text"] += (
                f" {receipt.kind.capitalize()} {receipt.number} was issued for it (SHA-256 {receipt.sha256})."
            )
        async with self._transactions.begin() as tx:
            await disputes.keep_evidence(tx.session, dispute.id, evidence)

    async def _progress(self, row: OrderRow, course_id: str) -> str:
        try:
            progress = await self._lms.progress(row.lms_user_id, course_id)
        except ExternalError as error:
            return f"not known ({error.code})"
        return "not known" if progress is None else f"{progress:.0%}"

    @activity.defn
    @translated
    async def do_what_is_wished(self, given: DisputeInput) -> DisputeView:
        """Submit the evidence, or accept the loss, as an operator wished; nothing without a wish.

        What the processor refuses for good ends the wish: the operator finds why on the order's timeline.
        """
        async with self._transactions.begin() as tx:
            dispute = await _require(tx, given.provider_id)
        try:
            if dispute.wish == disputes.WISH_SUBMIT:
                await self._submit(dispute)
            elif dispute.wish == disputes.WISH_ACCEPT:
                await self._api.accept_dispute(given.provider_id, ids.dispute_accept_key(given.provider_id))
        except ProcessorRejected as error:
            await self._answered(dispute, f"refused_{dispute.wish}", f"Stripe refuses: {error.detail}.")
        return await self.follow_dispute(given)

    @activity.defn
    @translated
    async def submit_in_time(self, given: DisputeInput) -> DisputeView:
        """The deadline is near: submit the evidence, if an operator still allows it."""
        async with self._transactions.begin() as tx:
            dispute = await _require(tx, given.provider_id)
        try:
            if dispute.wish == disputes.WISH_SUBMIT_IN_TIME:
                await self._submit(dispute)
        except ProcessorRejected as error:
            await self._answered(dispute, "refused_submit", f"Stripe refuses: {error.detail}.")
        return await self.follow_dispute(given)

    async def _submit(self, dispute: DisputeRow) -> None:
        if dispute.evidence is None:
            return
        provider_id = dispute.provider_id
        await self._api.submit_evidence(provider_id, dispute.evidence, ids.dispute_evidence_key(provider_id))
        await self._answered(dispute, "submitted", "The evidence went to the bank.")

    async def _answered(self, dispute: DisputeRow, how: str, detail: str) -> None:
        """The wish is done with, and the timeline says how."""
        async with self._transactions.begin() as tx:
            row = await refund_books.require_order(tx, dispute.order_id)
            await disputes.end_wish(tx.session, dispute.id, submitted=how == "submitted")
            key = f"dispute/{dispute.provider_id}/{how}"
            await orders.note(tx.session, row.id, key, f"dispute_evidence_{how}", detail)

    @activity.defn
    @translated
    async def remind_of_deadline(self, given: DisputeInput) -> DisputeView:
        """Say on the order's timeline that evidence is due, and later that nothing was sent; each once."""
        async with self._transactions.begin() as tx:
            dispute = await _require(tx, given.provider_id)
            row = await refund_books.require_order(tx, dispute.order_id)
            due = f"{dispute.evidence_due_by:%Y-%m-%d %H:%M} UTC"
            key = f"dispute/{dispute.provider_id}/"
            if dispute.reminded_at is None:
                detail = f"Evidence is due by {due}, and nobody allowed it."
                await orders.note(tx.session, row.id, f"{key}reminder", "dispute_deadline_near", detail)
                await disputes.set_reminded(tx.session, dispute.id)
            else:
                detail = f"Evidence was due by {due}; nothing was sent, and the bank decides without it."
                await orders.note(tx.session, row.id, f"{key}missed", "dispute_deadline_missed", detail)
                await disputes.set_missed(tx.session, dispute.id)
            return await _view(tx, given.provider_id)

    @activity.defn
    @translated
    async def tell_of_dispute(self, view: DisputeView) -> None:
        """Wake the splits, which wait while a dispute is open, and the accesses that it suspended; in the
        end also the questions that it put off."""
        for line_id in view.line_ids:
            await self._dispatcher.resume_split(line_id)
        for course_id in view.course_ids:
            await self._dispatcher.wake_entitlement(view.user_id, course_id)
        await self._dispatcher.order_entitlement_changed(view.order_id)
        if view.over:
            await wake_parked(self._transactions, self._dispatcher, view.order_id)
            await wake_questions(self._transactions, self._dispatcher, list(view.line_ids))


async def _keep_only(tx: Transaction, row: OrderRow, found: Dispute) -> None:
    """A dispute of a payment that pays for no order: nothing is posted by guess.

    What it moved stands as differences in the reconciliation, for operators; it is followed to its end.
    """
    dispute = await _require(tx, found.id)
    detail = f"A payment that pays for nothing is disputed ({found.reason}): nothing was posted."
    await _note(tx, row, found, "unapplied", detail)
    if found.is_decided and not dispute.is_over:
        await disputes.set_state(tx.session, dispute.id, disputes.CLOSED)
        await _note(tx, row, found, "closed", f"It ended: {found.status}.")


async def _end_what_is_gone(tx: Transaction, row: OrderRow) -> None:
    """Lines of which nothing is left give no access and hold no seat."""
    lines = await order_lines.of_order(tx.session, row.id, lock=True)
    gone = [line for line in lines if ledger_of(line, row.currency).nothing_left]
    await entitlements.unjustify(tx.session, [line.id for line in gone])
    for item_id in await _release_seats(tx, gone):
        await catalog.release_seat(tx.session, item_id)


async def _release_seats(tx: Transaction, lines: list[LineRow]) -> list[str]:
    return await order_lines.release_seats_of(tx.session, [line.id for line in lines if line.holds_seat])


async def _require(tx: Transaction, provider_id: str) -> DisputeRow:
    dispute = await disputes.by_provider(tx.session, provider_id)
    if dispute is None:
        raise CommerceError(f"dispute {provider_id} has no row")
    return dispute


async def _view(tx: Transaction, provider_id: str) -> DisputeView:
    dispute = await _require(tx, provider_id)
    row = await refund_books.require_order(tx, dispute.order_id)
    lines = await order_lines.of_order(tx.session, row.id)
    remind, submit = _deadlines(dispute)
    return DisputeView(
        dispute_id=dispute.id,
        order_id=row.id,
        order_number=row.number,
        user_id=row.user_id,
        state=dispute.state,
        status=dispute.status,
        amount=dispute.amount,
        currency=dispute.currency,
        line_ids=tuple(line.id for line in lines if line.list_net > 0),
        course_ids=tuple(sorted({line.lms_course_id for line in lines})),
        remind_at=remind,
        submit_at=submit,
        answerable=dispute.status.endswith("needs_response"),
        over=dispute.is_over,
        wished=dispute.wish in (disputes.WISH_SUBMIT, disputes.WISH_ACCEPT),
    )


def _deadlines(dispute: DisputeRow) -> tuple[float | None, float | None]:
    """When somebody is to be reminded of the evidence, and when it goes out by itself."""
    due = dispute.evidence_due_by
    if due is None or dispute.is_over or dispute.evidence_submitted_at is not None:
        return None, None
    if dispute.wish == disputes.WISH_SUBMIT_IN_TIME:
        return None, (due - _SUBMIT_BEFORE).timestamp()
    if dispute.reminded_at is None:
        return (due - _REMIND_BEFORE).timestamp(), None
    return (due.timestamp() if dispute.missed_at is None else None), None


async def _note(tx: Transaction, row: OrderRow, found: Dispute, what: str, detail: str) -> None:
    await orders.note(tx.session, row.id, f"dispute/{found.id}/{what}", f"dispute_{what}", detail)


def _publish(tx: Transaction, row: OrderRow, found: Dispute, kind: str) -> None:
    tx.publish(
        Publication(
            f"dispute:{found.id}:{kind}",
            kind,
            ids.order_stream(row.id),
            DisputeData(
                order_id=row.id,
                number=row.number,
                dispute_id=found.id,
                amount=found.amount,
                currency=found.currency,
                reason=found.reason,
            ),
        )
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
