"""A worker, a database and an account at the processor for each test alone."""

from collections.abc import AsyncIterator

import pytest

from activities import reconciliation
from tests.planted.conftest import own_bench, owner_of_own
from tests.reconciliation.office import Office
from tests.workflows.bench import Bench
from tests.workflows.conftest import patient_skipper, standins

__all__ = ["own_bench", "owner_of_own", "patient_skipper", "standins"]


@pytest.fixture
async def office(own_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """Books and account are empty; what happened a moment ago counts as settled."""
    monkeypatch.setattr(reconciliation, "SETTLE_SECONDS", -5)
    monkeypatch.setattr(reconciliation, "ENTRY_MARGIN_SECONDS", 0)
    await own_bench.reset_stripe()
    yield Office(own_bench)
    await own_bench.reset_stripe()
