"""A worker for each module, on a virtual clock, and one set of stand-ins."""

import json
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from models.queries import webhook_endpoints
from tests.workflows.bench import SECRET, Bench
from tests.workflows.running import Standins, running_bench, running_standins
from tests.workflows.streams import TYPE, MakeStream, Stream


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


@pytest.fixture
def make_stream(bench: Bench) -> MakeStream:
    """See MakeStream."""

    async def make(
        at: str | None = None, *, types: tuple[str, ...] = (TYPE,), url: str | None = None
    ) -> Stream:
        endpoint_id, name = at or str(uuid.uuid4()), f"order/{uuid.uuid4()}"
        entries = json.dumps([{"secret": SECRET, "expires_at": None}]).encode()
        if at is not None:
            return Stream(bench, name, at)
        async with bench.resources.database.transaction() as session:
            await webhook_endpoints.insert(
                session,
                endpoint_id,
                url=url or bench.payout.webhook_url,
                description="of a test",
                event_types=list(types),
                secret_sealed=bench.resources.sealer.seal(entries, f"webhook-endpoint/{endpoint_id}"),
            )
        return Stream(bench, name, endpoint_id)

    return make
