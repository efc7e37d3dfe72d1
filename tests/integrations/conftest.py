"""A recording HTTP server, and the payout receiver as a process."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from devstack.payout_receiver.control import PayoutControl
from tests.lms.processes import Recorder, StandinProcess

EVENT_SECRET = "whsec_ZXZlbnQtc2VjcmV0LW9mLXRoZS10ZXN0cw=="
PAYOUT_SECRET = "whsec_cGF5b3V0LXNlY3JldC1vZi10aGUtdGVzdHM="


@pytest.fixture(scope="session")
def recorder_of_session() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def recorder(recorder_of_session: Recorder) -> Recorder:
    """A receiver that answers 200 and remembers."""
    recorder_of_session.reset()
    return recorder_of_session


@dataclass(frozen=True)
class PayoutParts:
    """The process, its client, and what receives `payout.settled`."""

    process: StandinProcess
    control: PayoutControl
    sink: Recorder


@pytest.fixture(scope="session")
async def payout_of_session(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PayoutParts]:
    sink = Recorder()
    process = StandinProcess(
        "devstack.payout_receiver",
        "--data-dir",
        str(tmp_path_factory.mktemp("payout")),
        "--secret",
        EVENT_SECRET,
        "--webhook-url",
        sink.url,
        "--webhook-secret",
        PAYOUT_SECRET,
    )
    process.start()
    async with PayoutControl(process.base_url) as control:
        yield PayoutParts(process, control, sink)
    process.stop()
    sink.close()


@pytest.fixture
async def payout(payout_of_session: PayoutParts) -> PayoutParts:
    """A payout receiver that is as new."""
    await payout_of_session.control.reset()
    payout_of_session.sink.reset()
    return payout_of_session
