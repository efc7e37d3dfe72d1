"""Recorded histories of every path are replayed: a change that running workflows could not survive fails."""

import asyncio
import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from domain import messages
from domain.messages import OrderInput
from integrations.request_ids import RequestIds
from worker import WORKFLOWS

RECORDED = sorted((Path(__file__).parent.parent / "data" / "histories").glob("*.json"))
PATHS = {
    "checkout-paid",
    "checkout-free",
    "checkout-canceled",
    "checkout-expired",
    "checkout-ended-for-declines",
    "checkout-refused",
    "checkout-processing",
    "checkout-declined-then-paid",
    "checkout-lms-refuses-then-retried",
    "checkout-unapplied",
    "entitlement-granted",
    "entitlement-revoked",
    "entitlement-completed",
    "entitlement-refused",
    "entitlement-asked-again",
    "entitlement-maintained",
    "entitlement-hurried",
    "entitlement-ended-on-its-way",
    "entitlement-merged-away",
    "entitlement-revoked-again",
    "entitlement-granted-again",
    "split-released",
    "split-refunded",
    "split-on-payment",
    "split-held-by-dispute",
    "split-released-again",
    "payout-beyond-released",
    "correction-reassigned",
    "correction-refused",
    "correction-written-off",
    "earnings-identity",
    "refund-succeeded",
    "refund-refused",
    "refund-pending",
    "refund-failed",
    "refund-reissued",
    "dispute-won",
    "dispute-lost",
    "dispute-accepted",
    "dispute-inquiry",
    "refund-canceled",
    "refund-in-dashboard",
    "refund-adopted",
    "refund-parked",
    "completion-polling",
    "completion-polling-lms-away",
    "erasure-waited",
    "erasure-deleted-at-lms",
    "merge-waited",
    "account-changed",
    "account-not-found",
    "refund-taken-by-our-own",
    "late-failure-undone",
    "late-payment-refunded",
    "late-payment-revived",
    "balance-transaction",
    "delivery",
    "delivery-hurried",
    "webhook-replay",
    "inbox-recovery",
    "inbox-recovery-side-by-side",
    "retention",
    "reconciliation-clean",
    "reconciliation-continued",
    "reconciliation-repaired",
    "repair-left-open",
    "repair-sent",
    "ledger-seal",
    "store-credit-given",
    "store-credit-refused",
    "checkout-credit-only",
    "refund-credit-only",
    "refund-goodwill",
    "tax-report-receipt",
    "tax-report-credit_note",
    "dispute-reminded",
    "dispute-submitted-in-time",
    "erasure-came-back",
    "refund-as-store-credit",
    "checkout-moved-to-other-run",
    "checkout-canceled-with-its-run",
    "resolution-other-run",
    "resolution-store-credit",
    "resolution-deadline-refunds",
    "resolution-kept",
    "resolution-withdrawn",
    "resolution-superseded",
    "resolution-put-off-by-dispute",
    "resolution-refused-then-accepted",
    "run-change-cancelled",
    "run-change-rescheduled",
    "run-change-superseded",
    "run-change-paid-meanwhile",
}


def type_of(history: str) -> str:
    """Which workflow it is of."""
    began = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    name: str = began["workflowType"]["name"]
    return name


def test_every_path_is_recorded() -> None:
    assert {path.stem for path in RECORDED} == PATHS


def test_every_workflow_has_a_history() -> None:
    types = {type_of(path.read_text(encoding="utf-8")) for path in RECORDED}
    assert types == {found.__name__ for found in WORKFLOWS}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    history, name = WorkflowHistory.from_json(path.stem, content), type_of(content)
    ours = [found for found in WORKFLOWS if found.__name__ == name]
    await Replayer(workflows=ours, interceptors=[RequestIds()]).replay_workflow(history)


@workflow.defn(name=messages.CHECKOUT, sandboxed=False)
class ChangedCheckout:
    """What a careless change looks like: another first command."""

    @workflow.run
    async def run(self, order: OrderInput) -> str:
        await asyncio.sleep(60)
        return "changed"


async def test_a_careless_change_is_noticed() -> None:
    path = next(path for path in RECORDED if path.stem == "checkout-paid")
    history = WorkflowHistory.from_json(path.stem, path.read_text(encoding="utf-8"))
    with pytest.raises(workflow.NondeterminismError):
        await Replayer(workflows=[ChangedCheckout]).replay_workflow(history)
