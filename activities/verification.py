"""The oracle: checks every invariant on the live database against the processor, the LMS and Temporal."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from activities.line_check import lines_off
from activities.seals import Anchor, ChainCheck
from domain import ids
from domain.errors import LmsRejected, Unavailable, UnknownCourse, UnknownUser
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms
from integrations.payments import StripePayments
from integrations.processor_objects import Dispute
from models.database import Database
from models.queries import (
    balances,
    differences,
    disputes,
    documents,
    entitlements,
    invariants,
    orders,
    payments,
    recovery,
)

# Named in every report, so that nobody takes silence for proof.
NOT_CHECKED_YET = {
    "receivers.one_effect": "that a receiver acted once on an event: only the receiver knows",
}

_SETTLE_SECONDS = 60
_READINGS = 3


@dataclass(frozen=True)
class Finding:
    """One invariant and what breaks it; no violation means that it holds."""

    name: str
    meaning: str
    violations: list[str] = field(default_factory=list)
    checked: bool = True


@dataclass(frozen=True)
class Report:
    """All findings of one run."""

    at: str
    findings: list[Finding]
    ledger_head: str  # block:hash, to be kept elsewhere and given back as an anchor

    @property
    def clean(self) -> bool:
        """Whether every invariant was checked and holds."""
        return all(finding.checked and not finding.violations for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "clean": self.clean,
            "at": self.at,
            "ledger_head": self.ledger_head,
            "findings": [asdict(finding) for finding in self.findings],
            "not_checked_yet": NOT_CHECKED_YET,
        }


class Verifier:
    """Reads everything, changes nothing."""

    def __init__(
        self,
        database: Database,
        payments: StripePayments,
        lms: Lms,
        dispatcher: Dispatcher,
        *,
        anchor: Anchor | None = None,
    ) -> None:
        self._chain = ChainCheck(database, anchor)
        self._database = database
        self._payments = payments
        self._lms = lms
        self._dispatcher = dispatcher

    async def verify(self, progress: Callable[[str], None] = lambda _: None) -> Report:
        """Check everything; an outside system that can't be asked makes its invariant unchecked."""
        findings = []
        async with self._database.transaction() as session:
            for invariant in invariants.DATABASE_INVARIANTS:
                progress(invariant.name)
                found = await invariants.violations(session, invariant)
                findings.append(Finding(invariant.name, invariant.meaning, found))
        findings.append(await self._documents_unchanged())
        findings.append(
            Finding(
                "splits.lines_agree",
                "every line's split rows are what its rule divides, and its state is what was posted for it",
                await lines_off(self._database),
            )
        )
        chain = await self._chain.run(progress)
        findings.append(
            Finding(
                "ledger.hash_chain",
                "every entry is what it was when it was sealed, in its place, and none is gone or added",
                chain.violations,
            )
        )
        outside: list[tuple[str, str, Callable[[], Awaitable[list[str]]]]] = [
            (
                "processor.payments_agree",
                "every succeeded intent at the processor is known here for the same amount, and none more",
                self._payments_agree,
            ),
            (
                "processor.cash_agrees",
                "processor clearing equals the sum of our balance transactions at the processor, to the cent",
                self._cash_agrees,
            ),
            (
                "processor.disputes_agree",
                "every dispute of our payments at the processor is known here, and decided here as there",
                self._disputes_agree,
            ),
            (
                "lms.access_agrees",
                "the LMS has exactly the accesses that are granted here",
                self._access_agrees,
            ),
            (
                "workflows.none_lost",
                "everything that is not at its end has a workflow running",
                self._none_lost,
            ),
        ]
        for name, meaning, check in outside:
            progress(name)
            try:
                findings.append(Finding(name, meaning, await check()))
            except (Unavailable, LmsRejected) as error:
                findings.append(Finding(name, meaning, [f"could not be asked: {error}"], checked=False))
        return Report(datetime.now(UTC).isoformat(timespec="seconds"), findings, chain.head)

    async def _documents_unchanged(self) -> Finding:
        async with self._database.transaction() as session:
            changed = [f"{row.number} was changed" async for row in documents.changed(session)]
        return Finding("documents.unchanged", "every document has the hash that it was issued with", changed)

    async def _payments_agree(self) -> list[str]:
        async with self._database.transaction() as session:
            ours = await payments.succeeded_intents(session)
            returned = await payments.returned_intents(session)
            known = await orders.known_orders(session)
        theirs: dict[str, tuple[int, str]] = {}
        now = datetime.now(UTC).timestamp()
        async for intent in self._payments.list_intents(created_gte=0):
            if intent.id in returned:
                continue
            young = now - intent.created < _SETTLE_SECONDS and intent.id not in ours
            if intent.status == "succeeded" and intent.metadata.get("order_id") in known and not young:
                theirs[intent.id] = (intent.amount_received, intent.currency)
        return [
            f"intent {intent_id}: processor {theirs.get(intent_id)}, here {ours.get(intent_id)}"
            for intent_id in sorted(ours.keys() | theirs.keys())
            if ours.get(intent_id) != theirs.get(intent_id)
        ]

    async def _disputes_agree(self) -> list[str]:
        async with self._database.transaction() as session:
            intents = await payments.our_intents(session)
            ours = await disputes.states(session)
        theirs = {
            one.id: one
            async for one in self._payments.list_disputes(created_gte=0)
            if one.payment_intent in intents
        }
        return [
            f"dispute {one.id} ({one.status} at the processor) is not known here"
            for one in theirs.values()
            if one.id not in ours
        ] + [
            f"dispute {dispute_id} is {state} here, {theirs[dispute_id].status} at the processor"
            if dispute_id in theirs
            else f"dispute {dispute_id} is {state} here, and not at the processor"
            for dispute_id, state in ours.items()
            # One that was closed moved no money, and may be of an account that is no longer ours.
            if (state != disputes.CLOSED or dispute_id in theirs)
            and (dispute_id not in theirs or not _same_end(state, theirs[dispute_id]))
        ]

    async def _cash_agrees(self) -> list[str]:
        theirs, listed = await self._listed_cash()
        async with self._database.transaction() as session:
            ours = await balances.cash(session)
            accepted = await differences.accepted_cash(session)
        off = [
            f"{currency}: ledger {ours.get(currency, 0)}, processor {theirs.get(currency, 0)}"
            for currency in sorted(ours.keys() | theirs.keys())
            if ours.get(currency, 0) + accepted.get(currency, 0) != theirs.get(currency, 0)
        ]
        return off + listed

    async def _listed_cash(self) -> tuple[dict[str, int], list[str]]:
        """What is ours of the processor's list by currency, and where the list is not the whole balance.

        Something may move between the two readings: then they are taken again.
        """
        for _ in range(_READINGS):
            theirs: dict[str, int] = {}
            listed: dict[str, int] = {}
            before = await self._payments.balance()
            async for one in self._payments.list_balance_transactions(created_gte=0):
                listed[one.currency] = listed.get(one.currency, 0) + one.net
                if not one.is_foreign:
                    theirs[one.currency] = theirs.get(one.currency, 0) + one.net
            if before == {code: amount for code, amount in listed.items() if amount}:
                return theirs, []
        return theirs, [
            f"{code}: the processor lists {listed.get(code, 0)}, its balance is {before.get(code, 0)}"
            for code in sorted(before.keys() | listed.keys())
            if before.get(code, 0) != listed.get(code, 0)
        ]

    async def _access_agrees(self) -> list[str]:
        async with self._database.transaction() as session:
            settled = await entitlements.settled_access(session)
        wrong = []
        for user_id, course_id, granted in settled:
            enrolled = await self._enrolled(user_id, course_id)
            if enrolled != granted:
                wrong.append(
                    f"LMS user {user_id}, course {course_id}: here {'granted' if granted else 'revoked'}, "
                    f"at the LMS {'enrolled' if enrolled else 'not enrolled'}"
                )
        return wrong

    async def _enrolled(self, user_id: str, course_id: str) -> bool:
        try:
            return await self._lms.enrolled(user_id, course_id)
        except (UnknownCourse, UnknownUser):
            return False

    async def _none_lost(self) -> list[str]:
        async with self._database.transaction() as session:
            unfinished = await recovery.unfinished(session)
        wanted = (
            [ids.order_workflow_id(order_id) for order_id in unfinished.order_ids]
            + [ids.refund_workflow_id(refund_id) for refund_id in unfinished.refund_ids]
            + [ids.entitlement_workflow_id(user, course) for user, course in unfinished.entitlements]
            + [ids.split_workflow_id(line_id) for line_id in unfinished.line_ids]
            + [ids.tax_report_workflow_id(document_id) for document_id in unfinished.tax_reports]
            + [
                ids.refund_workflow_id(ids.foreign_refund_id(one.provider_id, one.created))
                for one in unfinished.parked_refunds
            ]
            + [ids.late_failure_workflow_id(intent_id) for _, intent_id in unfinished.late_failures]
            + [ids.dispute_workflow_id(provider_id) for provider_id in unfinished.disputes]
            + [ids.resolution_workflow_id(resolution_id) for resolution_id in unfinished.resolutions]
            + [ids.run_change_workflow_id(change_id) for change_id in unfinished.run_changes]
        )
        return [
            f"{workflow_id} is not running"
            for workflow_id in wanted
            if not await self._dispatcher.is_running(workflow_id)
        ]


def _same_end(state: str, found: Dispute) -> bool:
    """Whether a dispute here has ended exactly when it has at the processor, and as it did there."""
    if not found.is_decided:
        return state in (disputes.INQUIRY, disputes.OPEN)
    return state == disputes.CLOSED or state in {"won": (disputes.WON,), "lost": (disputes.LOST,)}.get(
        found.status, (disputes.WON, disputes.LOST)
    )
