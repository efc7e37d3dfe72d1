"""Access at the LMS: what should be, asking for it, what came of it."""

import math
from dataclasses import dataclass
from typing import Literal

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.fulfilment import FulfilmentPlan
from activities.lms_calls import LmsCalls
from activities.lms_gate import pause_seconds, waits_for
from activities.resolutions import wake_questions
from domain.errors import LmsUnavailable
from domain.event_data import CourseCompleted, EntitlementData
from domain.ids import entitlement_stream
from domain.messages import EntitlementInput
from domain.orders import EntitlementStatus
from integrations.dispatch import Dispatcher
from models.queries import completions, entitlements, orders, resolutions
from models.queries.entitlements import EntitlementRow
from models.queries.lms_calls import Action
from models.queries.outbox import Publication


@dataclass(frozen=True)
class AccessPlan:
    """What differs: `action` is grant, revoke or none.

    With none, `again` (grant, revoke or empty) is to be done once more at `again_at`, in whole seconds since
    the epoch: until then an earlier call of the opposite, whose outcome nobody knows, may land.
    """

    entitlement_id: str
    lms_user_id: str
    course_id: str
    action: str
    status: str
    completions: bool
    again: str = ""
    again_at: int = 0


@dataclass(frozen=True)
class AccessOutcome:
    """What the LMS answered."""

    entitlement_id: str
    status: EntitlementStatus
    failure_code: str | None = None
    failure_detail: str | None = None
    failed_action: str | None = None


@dataclass(frozen=True)
class Waiting:
    """Who is to be told of a change."""

    order_ids: list[str]
    line_ids: list[str]


_TO_REVOKE = frozenset({EntitlementStatus.GRANTED, EntitlementStatus.GRANTING, EntitlementStatus.REVOKING})
_TO_GRANT = frozenset(
    {
        EntitlementStatus.PENDING,
        EntitlementStatus.GRANTING,
        EntitlementStatus.REVOKING,
        EntitlementStatus.REVOKED,
    }
)
_EVENTS = {
    EntitlementStatus.GRANTED: "entitlement.granted",
    EntitlementStatus.REVOKED: "entitlement.revoked",
    EntitlementStatus.FAILED: "entitlement.failed",
}


class EntitlementActivities:
    """Steps of the entitlement workflow."""

    def __init__(self, transactions: Transactions, calls: LmsCalls, dispatcher: Dispatcher) -> None:
        self._transactions = transactions
        self._calls = calls
        self._dispatcher = dispatcher

    @activity.defn
    @translated
    async def request_entitlements(self, plan: FulfilmentPlan) -> None:
        """Wake the one writer of each access that the order pays for."""
        for course_id in plan.course_ids:
            await self._dispatcher.wake_entitlement(plan.user_id, course_id)

    @activity.defn
    @translated
    async def plan_access(self, given: EntitlementInput) -> AccessPlan:
        """Compare what the justifications say with what was last reached at the LMS."""
        async with self._transactions.begin() as tx:
            row = await entitlements.of_user_course(tx.session, given.user_id, given.course_id)
            if row is None:
                return AccessPlan("", "", given.course_id, "none", "none", completions=False)
            # Who never had access is told nothing of: what they completed waits for the grant.
            unrelayed = row.granted_at is not None and await completions.unrelayed(
                tx.session, row.lms_user_id, row.lms_course_id
            )
            action = _action(row)
            if action == "grant" and row.status is not EntitlementStatus.GRANTING:
                await entitlements.set_status(tx.session, row.id, EntitlementStatus.GRANTING)
            elif action == "revoke" and row.status is not EntitlementStatus.REVOKING:
                await entitlements.set_status(tx.session, row.id, EntitlementStatus.REVOKING)
            elif action == "forget":
                row = await self._forget(tx, row)
                action = "none"
            again, again_at = _owed(row) if action == "none" else ("", 0)
            return AccessPlan(
                row.id,
                row.lms_user_id,
                row.lms_course_id,
                action,
                str(row.status),
                completions=bool(unrelayed),
                again=again,
                again_at=again_at,
            )

    async def _forget(self, tx: Transaction, row: EntitlementRow) -> EntitlementRow:
        """Ended without asking the LMS: paid back before anything was asked of it, or it has no such account
        any more. Receivers are told of an end of what they were told of."""
        if row.status is EntitlementStatus.PENDING:
            await entitlements.set_status(tx.session, row.id, EntitlementStatus.REVOKED)
        else:
            await self._change(tx, row, AccessOutcome(row.id, EntitlementStatus.REVOKED))
        return await entitlements.get(tx.session, row.id) or row

    @activity.defn
    @translated
    async def grant_access(self, plan: AccessPlan) -> None:
        """Have the user enrolled; already enrolled is success."""
        await self._ask(plan, "grant")

    @activity.defn
    @translated
    async def revoke_access(self, plan: AccessPlan) -> None:
        """Have the user unenrolled; not enrolled is success."""
        await self._ask(plan, "revoke")

    async def _ask(self, plan: AccessPlan, action: Action) -> None:
        """One attempt, at its turn. When it is in vain, the learner can read when the next one comes."""
        try:
            await self._calls.make(
                action,
                plan.entitlement_id,
                plan.lms_user_id,
                plan.course_id,
                again_at=plan.again_at if plan.again == action else None,
            )
        except LmsUnavailable as error:
            attempt = activity.info().attempt
            pause = pause_seconds(error, attempt)
            async with self._transactions.begin() as tx:
                await entitlements.waits(
                    tx.session,
                    plan.entitlement_id,
                    attempts=attempt,
                    pause_seconds=pause,
                    waits_for=waits_for(error),
                )
            raise LmsUnavailable(error.detail, retry_after_seconds=pause) from error

    @activity.defn
    @translated
    async def record_outcome(self, outcome: AccessOutcome) -> Waiting:
        """Commit and publish the new state; the version lets a receiver ignore a late grant."""
        async with self._transactions.begin() as tx:
            row = await entitlements.get(tx.session, outcome.entitlement_id)
            if row is None:
                return Waiting([], [])
            if row.status is not outcome.status:
                await self._change(tx, row, outcome)
            if outcome.status is EntitlementStatus.FAILED:
                await resolutions.open_refused(tx.session, entitlement_id=row.id)
            return Waiting(
                await entitlements.waiting_orders(tx.session, row.id),
                await entitlements.lines_of(tx.session, row.id),
            )

    async def _change(self, tx: Transaction, row: EntitlementRow, outcome: AccessOutcome) -> None:
        version = await entitlements.set_status(
            tx.session,
            row.id,
            outcome.status,
            failure_code=outcome.failure_code,
            failure_detail=outcome.failure_detail,
            failed_action=outcome.failed_action,
        )
        for order_id in await entitlements.telling_orders(tx.session, row.id, outcome.status):
            detail = f"Access to {row.lms_course_id}: {outcome.status}."
            if outcome.failure_detail:
                detail = f"Access to {row.lms_course_id} refused by the LMS: {outcome.failure_detail}"
            await orders.note(
                tx.session,
                order_id,
                f"entitlement/{row.id}/{version}",
                f"entitlement_{outcome.status}",
                detail,
            )
        data = EntitlementData(
            entitlement_id=row.id,
            user_id=row.user_id,
            lms_user_id=row.lms_user_id,
            course_id=row.lms_course_id,
            version=version,
        )
        if outcome.failure_code is not None:
            data["reason"] = outcome.failure_code
        tx.publish(
            Publication(
                f"entitlement:{row.id}:{version}", _EVENTS[outcome.status], entitlement_stream(row.id), data
            )
        )

    @activity.defn
    @translated
    async def relay_completions(self, given: EntitlementInput) -> Waiting:
        """Tell the payout system of a stored completion, once access was there; also for free and refunded
        orders."""
        async with self._transactions.begin() as tx:
            row = await entitlements.of_user_course(tx.session, given.user_id, given.course_id)
            if row is None:
                return Waiting([], [])
            completion = await completions.unrelayed(tx.session, row.lms_user_id, row.lms_course_id)
            if completion is None or row.granted_at is None:
                return Waiting([], [])
            tx.publish(
                Publication(
                    f"completion:{completion.lms_event_id}",
                    "course.completed",
                    entitlement_stream(row.id),
                    CourseCompleted(
                        entitlement_id=row.id,
                        lms_event_id=completion.lms_event_id,
                        lms_user_id=row.lms_user_id,
                        course_id=row.lms_course_id,
                        completed_at=completion.completed_at.isoformat(),
                    ),
                )
            )
            await completions.mark_relayed(tx.session, completion.id)
            return Waiting([], await entitlements.lines_of(tx.session, row.id))

    @activity.defn
    @translated
    async def tell_waiting(self, waiting: Waiting) -> None:
        """Signal orders and splits, where they are open, and questions to buyers."""
        for order_id in waiting.order_ids:
            await self._dispatcher.order_entitlement_changed(order_id)
        for line_id in waiting.line_ids:
            await self._dispatcher.line_changed(line_id)
        await wake_questions(self._transactions, self._dispatcher, waiting.line_ids)


def _action(row: EntitlementRow) -> str:
    """What to ask of the LMS. What it refused for good waits for a person, not for another try."""
    if row.moved and not row.justified:
        return "none" if row.status is EntitlementStatus.REVOKED else "forget"
    if row.status is EntitlementStatus.FAILED:
        refused = row.failed_action or "grant"
        wanted = "grant" if row.justified else "revoke"
        return "none" if refused == wanted else wanted
    if row.justified:
        return "grant" if row.status in _TO_GRANT else "none"
    if row.status in _TO_REVOKE:
        return "revoke"
    return "forget" if row.status is EntitlementStatus.PENDING else "none"


def _owed(row: EntitlementRow) -> tuple[Action | Literal[""], int]:
    """What is to be done once more because a call of before may still undo it, and from when on.

    The same is said in SQL by `lms_calls.OWED_SQL`.
    """
    if row.status is EntitlementStatus.REVOKED and row.grant_may_land_until is not None and not row.moved:
        return "revoke", math.ceil(row.grant_may_land_until.timestamp())
    if row.status is EntitlementStatus.GRANTED and row.revoke_may_land_until is not None:
        return "grant", math.ceil(row.revoke_may_land_until.timestamp())
    return "", 0
