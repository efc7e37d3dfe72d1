"""Access at the LMS: what should be, asking for it, what came of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.lms_gate import LmsGate, pause_seconds, waits_for
from activities.orders import FulfilmentPlan
from activities.resolutions import wake_questions
from domain.errors import LmsUnavailable
from domain.ids import entitlement_stream
from domain.messages import EntitlementInput
from domain.orders import EntitlementStatus
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms
from models.queries import entitlements, orders, resolutions
from models.queries.entitlements import EntitlementRow
from models.queries.outbox import Publication


@dataclass(frozen=True)
class AccessPlan:
    """What differs: `action` is grant, revoke or none."""

    entitlement_id: str
    lms_user_id: str
    course_id: str
    action: str
    status: str
    completions: bool


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

    def __init__(self, transactions: Transactions, lms: Lms, dispatcher: Dispatcher, gate: LmsGate) -> None:
        self._transactions = transactions
        self._lms = lms
        self._dispatcher = dispatcher
        self._gate = gate

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
            unrelayed = await entitlements.unrelayed_completions(
                tx.session, row.lms_user_id, row.lms_course_id
            )
            action = _action(row)
            if action == "grant" and row.status is not EntitlementStatus.GRANTING:
                await entitlements.set_status(tx.session, row.id, EntitlementStatus.GRANTING)
            elif action == "revoke" and row.status is not EntitlementStatus.REVOKING:
                await entitlements.set_status(tx.session, row.id, EntitlementStatus.REVOKING)
            elif action == "forget":
                await self._forget(tx, row)
                action = "none"
            return AccessPlan(
                row.id,
                row.lms_user_id,
                row.lms_course_id,
                action,
                str(row.status),
                completions=bool(unrelayed),
            )

    async def _forget(self, tx: Transaction, row: EntitlementRow) -> None:
        """Ended without asking the LMS: paid back before anything was asked of it, or it has no such account
        any more. Receivers are told of an end of what they were told of."""
        if row.status is EntitlementStatus.PENDING:
            await entitlements.set_status(tx.session, row.id, EntitlementStatus.REVOKED)
        else:
            await self._change(tx, row, AccessOutcome(row.id, EntitlementStatus.REVOKED))

    @activity.defn
    @translated
    async def grant_access(self, plan: AccessPlan) -> None:
        """Have the user enrolled; already enrolled is success."""
        await self._ask(plan, self._lms.grant)

    @activity.defn
    @translated
    async def revoke_access(self, plan: AccessPlan) -> None:
        """Have the user unenrolled; not enrolled is success."""
        await self._ask(plan, self._lms.revoke)

    async def _ask(self, plan: AccessPlan, call: Callable[[str, str], Awaitable[None]]) -> None:
        """One attempt, at its turn. When it is in vain, the learner can read when the next one comes."""
        try:
            await self._gate.enter()
            await call(plan.lms_user_id, plan.course_id)
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
        for order_id in await entitlements.waiting_orders(tx.session, row.id):
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
        data: dict[str, object] = {
            "entitlement_id": row.id,
            "user_id": row.user_id,
            "lms_user_id": row.lms_user_id,
            "course_id": row.lms_course_id,
            "version": version,
        }
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
        """Tell the payout system of stored completions, also for free and refunded orders."""
        async with self._transactions.begin() as tx:
            row = await entitlements.of_user_course(tx.session, given.user_id, given.course_id)
            if row is None:
                return Waiting([], [])
            for completion in await entitlements.unrelayed_completions(
                tx.session, row.lms_user_id, row.lms_course_id
            ):
                tx.publish(
                    Publication(
                        f"completion:{completion.lms_event_id}",
                        "course.completed",
                        entitlement_stream(row.id),
                        {
                            "entitlement_id": row.id,
                            "lms_event_id": completion.lms_event_id,
                            "lms_user_id": row.lms_user_id,
                            "course_id": row.lms_course_id,
                            "completed_at": completion.completed_at.isoformat(),
                        },
                    )
                )
                await entitlements.mark_relayed(tx.session, completion.id)
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
