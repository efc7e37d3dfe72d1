"""Fulfilling a paid order: what it needs, and whether its access is there."""

from dataclasses import dataclass

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.order_state import OrderState, row_of, state_of
from domain.event_data import OrderFulfilled
from domain.ids import order_stream
from domain.messages import OrderInput
from domain.orders import EntitlementStatus, FulfilmentState
from models.queries import entitlements, order_lines, orders, resolutions
from models.queries.entitlements import EntitlementRow
from models.queries.orders import OrderRow
from models.queries.outbox import Publication


@dataclass(frozen=True)
class FulfilmentPlan:
    """What a paid order needs: lines whose revenue is to be split, courses to give access to."""

    user_id: str
    line_ids: list[str]
    course_ids: list[str]


class FulfilmentActivities:
    """Moves the fulfilment axis of an order."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    @activity.defn
    @translated
    async def begin_fulfilment(self, order: OrderInput) -> FulfilmentPlan:
        """What the paid order needs; moves the fulfilment axis."""
        async with self._transactions.begin() as tx:
            row = await row_of(tx.session, order.order_id, lock=True)
            if row.fulfilment_state is FulfilmentState.NONE:
                await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLING)
            lines = await order_lines.of_order(tx.session, row.id)
            return FulfilmentPlan(
                row.user_id,
                [line.id for line in lines if line.list_net > 0],
                sorted({line.lms_course_id for line in lines}),
            )

    @activity.defn
    @translated
    async def review_fulfilment(self, order: OrderInput) -> OrderState:
        """Compare the order with its entitlements and move the fulfilment axis when it is decided."""
        async with self._transactions.begin() as tx:
            row = await row_of(tx.session, order.order_id, lock=True)
            accesses = await entitlements.of_order(tx.session, row.id)
            statuses = {access.status for access in accesses}
            decided = all(access.decided for access in accesses)
            if decided and row.fulfilment_state is not FulfilmentState.FULFILLED:
                await self._become_fulfilled(tx, row, granted=EntitlementStatus.GRANTED in statuses)
            elif EntitlementStatus.FAILED in statuses:
                await _fail_fulfilment(tx, row, accesses)
            elif row.fulfilment_state is FulfilmentState.FAILED and not decided:
                # Tried again, or moved to another run: access is being set up once more.
                await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLING)
            return await state_of(tx.session, await row_of(tx.session, row.id))

    async def _become_fulfilled(self, tx: Transaction, row: OrderRow, *, granted: bool) -> None:
        await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLED)
        if not granted:  # every access was taken back before it was there: nothing to announce
            return
        await orders.note(tx.session, row.id, "fulfilled", "order_fulfilled", "Access is there.")
        tx.publish(
            Publication(
                f"order:{row.id}:fulfilled",
                "order.fulfilled",
                order_stream(row.id),
                OrderFulfilled(order_id=row.id, number=row.number, user_id=row.user_id),
            )
        )


async def _fail_fulfilment(tx: Transaction, row: OrderRow, accesses: list[EntitlementRow]) -> None:
    """The LMS said no for good: the buyers of those lines are asked what they want instead."""
    await resolutions.open_refused(tx.session, order_id=row.id)
    if row.fulfilment_state is FulfilmentState.FAILED:
        return
    await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FAILED)
    failed = [access for access in accesses if access.status is EntitlementStatus.FAILED]
    reasons = "; ".join(f"{a.lms_course_id}: {a.failure_detail or a.failure_code}" for a in failed)
    versions = ",".join(str(access.version) for access in failed)
    await orders.note(
        tx.session,
        row.id,
        f"failed/{activity.info().workflow_run_id}/{versions}",
        "fulfillment_failed",
        f"The LMS refused access for good ({reasons}). The buyer or an operator chooses what to do instead.",
    )
