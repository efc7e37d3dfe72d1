"""A worker for each module, on a virtual clock, and one set of stand-ins."""

from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from tests.workflows.bench import Bench
from tests.workflows.running import Standins, running_bench, running_standins


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standins]:
    """One set for all: each user, order and stream is a test's own."""
    with running_standins(tmp_path_factory.mktemp("standins")) as found:
        yield found


@pytest.fixture(scope="session")
def patient_skipper(temporal_client: Client) -> TimeSkipper:
    """Moves a clock only when told to, and that of one workflow only: the default skips every idle timer."""
    return TimeSkipper(temporal_client, config=TimeSkippingConfig(enabled=False, disable_propagation=True))


@pytest.fixture(scope="module")
async def bench(
    request: pytest.FixtureRequest, database_url: str, standins: Standins, patient_skipper: TimeSkipper
) -> AsyncIterator[Bench]:
    """The module's worker."""
    queue = f"bench-{request.module.__name__}"
    async with running_bench(database_url, standins, patient_skipper, queue) as found:
        yield found


@pytest.fixture(autouse=True)
async def no_faults(bench: Bench) -> AsyncIterator[None]:
    """What a test broke at the LMS or the receiver is whole for the next one."""
    yield
    await bench.lms.clear_faults()
    await bench.stripe.clear_faults()
    await bench.payout.clear_faults()
