"""Steps of a dispute: follow the processor, freeze and free, book what was won or lost, answer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities import refund_books
from activities.boundary import Transaction, Transactions, translated
from activities.earnings import ledger_of, post_outcome
from domain import ids
from domain.errors import CommerceError, ExternalError, ProcessorRejected, ProcessorUnavailable
from domain.ledger import lose_dispute, open_dispute, win_dispute
from domain.messages import DisputeInput
from domain.orders import PaymentState
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms
from integrations.payments import Dispute, StripePayments
from models.queries import catalog, disputes, entitlements, orders, payments
from models.queries.disputes import DisputeRow
from models.queries.orders import LineRow, OrderRow
from models.queries.outbox import Publication

SUSPEND = "suspend"
_REMIND_BEFORE = timedelta(days=2)


@dataclass(frozen=True)
class DisputeView:
    """Where a dispute stands, as its workflow sees it; amount in minor units, times in seconds since the
    epoch. `remind_at` is None when nobody has to be reminded; `ended` says why it is none of ours."""

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
    ) -> None:
        """`access` is `suspend` or `keep`: what an open dispute does to the access it was paid for."""
        self._transactions = transactions
        self._api = api
        self._lms = lms
        self._dispatcher = dispatcher
        self._access = access

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
            return await _view(tx, given.provider_id)

    async def _follow(self, tx: Transaction, row: OrderRow, found: Dispute) -> None:
        dispute = await _require(tx, found.id)
        if found.withdrawn and not dispute.withdrawn:
            await self._open(tx, row, dispute, found)
            dispute = await _require(tx, found.id)
        if dispute.state == disputes.OPEN and found.status == "won" and found.reinstated:
            await self._win(tx, row, dispute, found)
        elif dispute.state == disputes.OPEN and found.status == "lost":
            await self._lose(tx, row, dispute, found)
        elif dispute.state == disputes.INQUIRY and found.status in ("warning_closed", "prevented"):
            await disputes.set_state(tx.session, dispute.id, disputes.CLOSED)
            await _note(tx, row, found, "closed", "The inquiry was closed; no money moved.")
        elif dispute.state == disputes.INQUIRY:
            await _note(tx, row, found, "inquiry", f"The bank inquires ({found.reason}); no money moved.")

    async def _open(self, tx: Transaction, row: OrderRow, dispute: DisputeRow, found: Dispute) -> None:
        lines = await orders.lines(tx.session, row.id, lock=True)
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
            f"The bank took {found.withdrawn} {found.currency} (minor units) back: {found.reason}.{access}",
        )
        _publish(tx, row, found, "dispute.opened")

    async def _win(self, tx: Transaction, row: OrderRow, dispute: DisputeRow, found: Dispute) -> None:
        lines = await orders.lines(tx.session, row.id, lock=True)
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
        await _note(
            tx, row, found, "won", f"Won: {found.reinstated} {found.currency} (minor units) came back."
        )
        _publish(tx, row, found, "dispute.won")

    async def _lose(self, tx: Transaction, row: OrderRow, dispute: DisputeRow, found: Dispute) -> None:
        lines = await orders.lines(tx.session, row.id, lock=True)
        outcome = lose_dispute(
            found.id, [ledger_of(line, row.currency) for line in lines], amount=dispute.withdrawn
        )
        await post_outcome(tx, outcome, row, lines, reason="dispute lost")
        await disputes.set_state(tx.session, dispute.id, disputes.LOST)
        await disputes.set_order_axis(tx.session, row.id)
        await _end_what_is_gone(tx, row)
        await self._give_access_back(tx, row)
        await _note(
            tx, row, found, "lost", f"Lost: {dispute.withdrawn} {found.currency} (minor units) is gone."
        )
        _publish(tx, row, found, "dispute.lost")

    async def _give_access_back(self, tx: Transaction, row: OrderRow) -> None:
        """What was suspended for the order's disputes, as far as it is still paid for."""
        lines = await orders.lines(tx.session, row.id)
        paid = {line.id for line in lines if not ledger_of(line, row.currency).nothing_left}
        if row.payment_state is not PaymentState.PAID or await disputes.is_disputed(tx.session, row.id):
            return  # another one is open: its end gives back what any of them suspended
        suspended = await disputes.suspended_lines(tx.session, row.id)
        await entitlements.justify_again(tx.session, [line_id for line_id in suspended if line_id in paid])

    @activity.defn
    @translated
    async def assemble_evidence(self, given: DisputeInput) -> None:
        """Put together what speaks for us: the order, who bought it, access and progress at the LMS."""
        async with self._transactions.begin() as tx:
            dispute = await _require(tx, given.provider_id)
            row = await refund_books.require_order(tx, dispute.order_id)
            lines = await orders.lines(tx.session, row.id)
            facts = await disputes.evidence_facts(tx.session, row.id)
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
                f"Order {row.number} of {row.created_at:%Y-%m-%d}, {row.amount_paid} {row.currency} in minor "
                "units, a digital course whose access was given at once."
            ),
        }
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
            if dispute.wish == disputes.WISH_SUBMIT and dispute.evidence is not None:
                await self._api.submit_evidence(
                    given.provider_id, dispute.evidence, ids.dispute_evidence_key(given.provider_id)
                )
                await self._answered(dispute, "submitted", "The evidence went to the bank.")
            elif dispute.wish == disputes.WISH_ACCEPT:
                await self._api.accept_dispute(given.provider_id, ids.dispute_accept_key(given.provider_id))
        except ProcessorRejected as error:
            await self._answered(dispute, f"refused_{dispute.wish}", f"Stripe refuses: {error.detail}.")
        return await self.follow_dispute(given)

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
        """Say on the order's timeline that the evidence is due, once."""
        async with self._transactions.begin() as tx:
            dispute = await _require(tx, given.provider_id)
            row = await refund_books.require_order(tx, dispute.order_id)
            await orders.note(
                tx.session,
                row.id,
                f"dispute/{dispute.provider_id}/reminder",
                "dispute_deadline_near",
                f"Evidence is due by {dispute.evidence_due_by:%Y-%m-%d %H:%M} UTC, and nobody allowed it.",
            )
            await disputes.set_reminded(tx.session, dispute.id)
            return await _view(tx, given.provider_id)

    @activity.defn
    @translated
    async def tell_of_dispute(self, view: DisputeView) -> None:
        """Wake the splits, which wait while a dispute is open, and the accesses that it suspended."""
        for line_id in view.line_ids:
            await self._dispatcher.resume_split(line_id)
        for course_id in view.course_ids:
            await self._dispatcher.wake_entitlement(view.user_id, course_id)
        await self._dispatcher.order_entitlement_changed(view.order_id)


async def _end_what_is_gone(tx: Transaction, row: OrderRow) -> None:
    """Lines of which nothing is left give no access and hold no seat."""
    lines = await orders.lines(tx.session, row.id, lock=True)
    gone = [line for line in lines if ledger_of(line, row.currency).nothing_left]
    await entitlements.unjustify(tx.session, [line.id for line in gone])
    for item_id in await _release_seats(tx, gone):
        await catalog.release_seat(tx.session, item_id)


async def _release_seats(tx: Transaction, lines: list[LineRow]) -> list[str]:
    return await orders.release_seats_of(tx.session, [line.id for line in lines if line.holds_seat])


async def _require(tx: Transaction, provider_id: str) -> DisputeRow:
    dispute = await disputes.by_provider(tx.session, provider_id)
    if dispute is None:
        raise CommerceError(f"dispute {provider_id} has no row")
    return dispute


async def _view(tx: Transaction, provider_id: str) -> DisputeView:
    dispute = await _require(tx, provider_id)
    row = await refund_books.require_order(tx, dispute.order_id)
    lines = await orders.lines(tx.session, row.id)
    answered = dispute.evidence_submitted_at is not None or dispute.reminded_at is not None
    remind = None
    if dispute.evidence_due_by is not None and not answered and not dispute.is_over:
        remind = (dispute.evidence_due_by - _REMIND_BEFORE).timestamp()
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
        answerable=dispute.status.endswith("needs_response"),
        over=dispute.is_over,
        wished=dispute.wish is not None,
    )


async def _note(tx: Transaction, row: OrderRow, found: Dispute, what: str, detail: str) -> None:
    await orders.note(tx.session, row.id, f"dispute/{found.id}/{what}", f"dispute_{what}", detail)


def _publish(tx: Transaction, row: OrderRow, found: Dispute, kind: str) -> None:
    tx.publish(
        Publication(
            f"dispute:{found.id}:{kind}",
            kind,
            ids.order_stream(row.id),
            {
                "order_id": row.id,
                "number": row.number,
                "dispute_id": found.id,
                "amount": found.amount,
                "currency": found.currency,
                "reason": found.reason,
            },
        )
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
