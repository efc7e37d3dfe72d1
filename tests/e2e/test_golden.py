"""The worked cases of the ledger, played over HTTP and webhooks: the journals are those of the case."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.stripe_standin.control import StripeControl
from tests.e2e.conftest import Shop
from tests.e2e.golden import Play, install_rates, play
from tests.harness.product import RunningStack

CASES = json.loads((Path(__file__).parents[1] / "data" / "golden_cases.json").read_text())["ledger"]


@pytest.fixture(scope="module")
async def patient_shop(module_stack: RunningStack) -> AsyncIterator[Shop]:
    """A shop of its own that holds earnings for 30 days, as in production."""
    install_rates(module_stack.urls.owner_url)
    async with (
        StripeControl(module_stack.urls.stripe) as stripe,
        LmsControl(module_stack.urls.lms) as lms,
        PayoutControl(module_stack.urls.payout) as payout,
    ):
        yield Shop(module_stack, stripe, lms, payout)


@pytest.fixture(scope="module")
async def temporal(module_stack: RunningStack) -> Client:
    env = module_stack.env
    return await Client.connect(env["TEMPORAL_ADDRESS"], namespace=env["TEMPORAL_NAMESPACE"])


@pytest.mark.parametrize("case", [c for c in CASES if Play.can(c)], ids=lambda case: case["id"])
async def test_a_worked_case_end_to_end(patient_shop: Shop, temporal: Client, case: dict[str, Any]) -> None:
    played = await play(patient_shop, temporal, case)
    assert await played.entries() == played.expected()
