"""Steps of a refund: reserve and reverse in one transaction, ask the processor, settle, tell."""

from dataclasses import dataclass

from temporalio import activity

from activities import refund_books, refund_reservation
from activities.boundary import Transaction, Transactions, translated
from activities.parked_refunds import wake_parked
from activities.refund_books import RefundState
from activities.refusals import Refusal, refusal_of
from activities.resolutions import wake_questions
from activities.run_changes import wake_changes
from domain import ids
from domain.errors import CommerceError, Conflict, InvalidInput
from domain.messages import RefundInput
from domain.orders import RefundStatus
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from integrations.processor_objects import Refund as ProcessorRefund
from models.queries import recorded_commands, refunds
from models.queries.refunds import WISH_CANCEL, WISH_REISSUE, RefundRow


@dataclass(frozen=True)
class Reservation:
    """A refund, or why there is none; `ended` says that there will be none of its own."""

    state: RefundState | None
    refusal: Refusal | None = None
    ended: str | None = None


@dataclass(frozen=True)
class RefundFailure:
    """The processor refuses the refund for good."""

    refund_id: str
    reason: str


class RefundActivities:
    """Steps of the refund workflow."""

    def __init__(
        self,
        transactions: Transactions,
        api: StripePayments,
        dispatcher: Dispatcher,
        *,
        seller: dict[str, str],
    ) -> None:
        self._transactions = transactions
        self._api = api
        self._dispatcher = dispatcher
        self._seller = seller

    @activity.defn
    @translated
    async def reserve_refund(self, given: RefundInput) -> Reservation:
        """Reserve the money and post its reversal before the processor is asked, or say why not.

        The order and its lines are locked, so of two refunds that together exceed what was paid the
        second finds too little left.
        """
        try:
            async with self._transactions.begin() as tx:
                existing = await refunds.get(tx.session, given.refund_id)
                if existing is None:
                    command = await recorded_commands.get(tx.session, given.refund_id)
                    if command is None:
                        raise Conflict("nothing was asked under this id", code="not_paid")
                    await refund_reservation.reserve(tx, command)
                return Reservation(await refund_books.state_of(tx, given.refund_id))
        except (Conflict, InvalidInput) as error:
            return Reservation(None, refusal_of(error))

    @activity.defn
    @translated
    async def issue_refund(self, given: RefundInput) -> RefundState:
        """Ask the processor, under a key that counts business attempts; then follow its answer."""
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, given.refund_id)
            attempt = refund.attempt
            await refunds.count_issue(tx.session, refund.id, attempt)
        if refund.status is not RefundStatus.PENDING:
            return await self._read_state(refund.id)
        if refund.card_amount == 0:
            return await self._settle_without_processor(refund.id)
        if refund.provider_refund_id is not None:
            found = await self._api.get_refund(refund.provider_refund_id)
        else:
            found = await self._find_or_create(refund, attempt)
        return await self._follow(refund.id, found)

    async def _settle_without_processor(self, refund_id: str) -> RefundState:
        """All of it goes back as store credit: nobody outside has to be asked."""
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, refund_id, lock=True)
            if refund.status is RefundStatus.PENDING:
                await refund_books.settle(tx, refund, seller=self._seller)
            return await refund_books.state_of(tx, refund_id)

    async def _find_or_create(self, refund: RefundRow, attempt: int) -> ProcessorRefund:
        if refund.intent_id is None:
            raise CommerceError(f"refund {refund.id} has no payment to go back to")
        existing = await self._api.find_refund(refund.id, refund.intent_id)
        if existing is not None:
            return existing
        return await self._api.create_refund(
            intent_id=refund.intent_id,
            amount=refund.card_amount,
            currency=refund.currency,
            refund_id=refund.id,
            order_id=refund.order_id,
            idempotency_key=ids.refund_issue_key(refund.id, attempt),
        )

    @activity.defn
    @translated
    async def follow_refund(self, given: RefundInput) -> RefundState:
        """Read the refund at the processor and follow it: succeeded, failed, or failed after success."""
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, given.refund_id)
        if refund.provider_refund_id is None:  # refused, or not issued: the processor knows nothing of it
            return await self._read_state(refund.id)
        return await self._follow(refund.id, await self._api.get_refund(refund.provider_refund_id))

    async def _follow(self, refund_id: str, found: ProcessorRefund) -> RefundState:
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, refund_id, lock=True)
            if refund.provider_refund_id not in (None, found.id):
                return await refund_books.state_of(tx, refund_id)  # of an attempt that is over
            await refunds.set_provider_id(tx.session, refund_id, found.id)
            if found.status == "succeeded" and refund.status is RefundStatus.PENDING:
                await refund_books.settle(tx, refund, seller=self._seller)
            elif found.status in ("failed", "canceled") and refund.status is not RefundStatus.FAILED:
                await refund_books.fail(tx, refund, found.failure_reason or found.status)
            state = await refund_books.state_of(tx, refund_id)
        return await self._waking_parked(state)

    async def _waking_parked(self, state: RefundState) -> RefundState:
        """One made by hand that is parked may take the place of one that failed: it looks again."""
        if state.status is RefundStatus.FAILED and not state.canceled:
            await wake_parked(self._transactions, self._dispatcher, state.order_id)
        return state

    @activity.defn
    @translated
    async def abandon_refund(self, failure: RefundFailure) -> RefundState:
        """The processor refuses it: it is still owed, and waits for an operator."""
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, failure.refund_id, lock=True)
            if refund.status is RefundStatus.PENDING:
                await refund_books.fail(tx, refund, failure.reason)
            state = await refund_books.state_of(tx, refund.id)
        return await self._waking_parked(state)

    @activity.defn
    @translated
    async def take_up_failed(self, given: RefundInput) -> RefundState:
        """Do with a failed refund what an operator wishes; nothing when nobody wished anything."""
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, given.refund_id, lock=True)
            if refund.wish == WISH_CANCEL and refund.status is RefundStatus.FAILED:
                await refund_books.give_up(tx, refund, seller=self._seller)
            elif refund.wish == WISH_REISSUE:
                await self._issue_again(tx, refund)
            return await refund_books.state_of(tx, refund.id)

    @activity.defn
    @translated
    async def reissue_refund(self, given: RefundInput) -> RefundState:
        """Begin another business attempt at a failed refund."""
        async with self._transactions.begin() as tx:
            refund = await refund_books.require(tx, given.refund_id, lock=True)
            await self._issue_again(tx, refund)
            return await refund_books.state_of(tx, refund.id)

    async def _issue_again(self, tx: Transaction, refund: RefundRow) -> None:
        if refund.status is RefundStatus.FAILED and refund.canceled_at is None:
            await refunds.begin_attempt(tx.session, refund.id, refund.attempt + 1)
            fresh = await refund_books.require(tx, refund.id)
            await refund_books.note(tx, fresh, "reissued", f"Issued again, attempt {fresh.attempt}.")

    @activity.defn
    @translated
    async def tell_concerned(self, state: RefundState) -> None:
        """Wake whoever reads rows that the refund changed; nothing depends on the order of arrival."""
        for line_id in state.line_ids:
            await self._dispatcher.resume_split(line_id)
        for course_id in state.course_ids:
            await self._dispatcher.wake_entitlement(state.user_id, course_id)
        await self._dispatcher.order_entitlement_changed(state.order_id)
        await wake_parked(self._transactions, self._dispatcher, state.order_id)
        await wake_questions(self._transactions, self._dispatcher, state.line_ids)
        await wake_changes(self._transactions, self._dispatcher, state.line_ids)

    async def _read_state(self, refund_id: str) -> RefundState:
        async with self._transactions.begin() as tx:
            return await refund_books.state_of(tx, refund_id)
