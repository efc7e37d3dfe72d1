"""Planted faults about earnings are caught by the nightly identity and by the oracle."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities import splits
from activities.boundary import Transaction
from domain import earnings as earning_rules
from domain.ledger import Outcome
from models.queries.outbox import Publication
from tests.planted.conftest import Owner
from tests.workflows.bench import Bench, until
from tests.workflows.test_earnings import dispute, held, the_line
from tests.workflows.test_payees import PAYEE, balance, broken, released, settle, told
from workflows.payees import EarningsIdentityWorkflow


async def identity(bench: Bench) -> str:
    """The nightly check, run now."""
    return await bench.skipper.client.execute_workflow(
        EarningsIdentityWorkflow.run,
        id=f"identity-{uuid.uuid4()}",
        task_queue=bench.settings.temporal_task_queue,
        execution_timeout=timedelta(seconds=60),
    )


async def test_planted_a_lost_publication_fails_the_nightly_check_and_is_named_by_the_oracle(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Transaction.publish

    def loses(tx: Transaction, publication: Publication) -> None:
        if publication.type != "earning.released":
            publish(tx, publication)

    _, earned = await released(own_bench)
    assert await identity(own_bench) == "every payee's events equal the ledger"
    monkeypatch.setattr(Transaction, "publish", loses)
    await released(own_bench)
    off = f"{PAYEE} USD: events say held {earned} released {earned}, ledger 0 and {2 * earned}"
    assert await broken(own_bench, "earnings.events_equal_ledger") == [off]
    with pytest.raises(WorkflowFailureError) as failure:
        await identity(own_bench)
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "earnings_identity_broken"
    assert off in str(failure.value.cause)


async def test_one_payout_told_with_two_amounts_is_an_alarm(own_bench: Bench, owner_of_own: Owner) -> None:
    payout_id = f"po_{uuid.uuid4().hex}"
    await settle(own_bench, 500, payout_id=payout_id)
    second = await told(own_bench, 400, payout_id=payout_id)
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(own_bench.workflow(second).result(), 20)
    owner_of_own.execute("UPDATE inbound_event SET dispatched_at = dispatched_at - interval '1 hour'")
    (violation,) = await broken(own_bench, "payouts.settled_once")
    assert "of 400 USD" in violation
    assert (await balance(own_bench)).settled == 500


async def test_planted_a_naive_release_ignores_the_freeze_and_the_oracle_names_it(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, split = await held(own_bench)
    await dispute(own_bench, order, "open")

    async def nothing_stands_against_it(*_: Any) -> None:
        return None

    def naive(line: earning_rules.LineLedger) -> Outcome:
        thawed = earning_rules.replace(line, disputes=())
        return earning_rules.release(thawed)

    monkeypatch.setattr(splits.holds, "reason_to_hold", nothing_stands_against_it)
    monkeypatch.setattr(splits, "release", naive)
    monkeypatch.setattr(earning_rules.LineLedger, "frozen", False)
    await own_bench.resources.dispatcher.resume_split(split.removeprefix("split/"))
    await own_bench.skipper.fast_forward(own_bench.workflow(split), timedelta(days=31))
    await until(lambda: the_line(own_bench, order), lambda row: row["released_at"] is not None, "the release")
    monkeypatch.undo()
    (violation,) = (await own_bench.findings())["earnings.none_released_while_frozen"].violations
    assert split.removeprefix("split/") in violation
