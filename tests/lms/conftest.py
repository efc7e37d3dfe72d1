"""The stand-in LMS as a process, its control client, and the adapter that talks to it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from devstack.lms_standin.control import LmsControl
from integrations.lms.standin import StandinLms
from tests.lms.campus import Campus, MoodleCampus, OpenEdxCampus, StandinCampus
from tests.lms.processes import Recorder, StandinProcess
from tests.lms.wire import Moodle, OpenEdx, serving

TOKEN = "lms-token-of-the-tests"
SECRET = "whsec_bG1zLXdlYmhvb2stc2VjcmV0LW9mLXRlc3Rz"


@pytest.fixture(scope="session")
def recorder_of_session() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="session")
def lms_process(
    tmp_path_factory: pytest.TempPathFactory, recorder_of_session: Recorder
) -> Iterator[StandinProcess]:
    """One stand-in LMS for all tests of this directory."""
    process = StandinProcess(
        "devstack.lms_standin",
        "--data-dir",
        str(tmp_path_factory.mktemp("lms")),
        "--webhook-url",
        recorder_of_session.url,
        "--webhook-secret",
        SECRET,
        "--token",
        TOKEN,
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """One client for all: making one loads the certificates of all authorities."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
async def control_of_session(lms_process: StandinProcess) -> AsyncIterator[LmsControl]:
    async with LmsControl(lms_process.base_url) as client:
        yield client


@pytest.fixture
async def control(control_of_session: LmsControl) -> LmsControl:
    """The control client of a stand-in that is as new."""
    await control_of_session.reset()
    return control_of_session


@pytest.fixture
async def recorder(recorder_of_session: Recorder, control: LmsControl) -> Recorder:
    """What receives the webhooks; `control` comes first, so nothing old is still under way."""
    recorder_of_session.reset()
    return recorder_of_session


@pytest.fixture
def lms(control: LmsControl, http: httpx.AsyncClient) -> StandinLms:
    """The adapter, impatient so that time-outs are quick."""
    return StandinLms(control.base_url, TOKEN, http, timeout_seconds=0.4)


@pytest.fixture
async def moodle(http: httpx.AsyncClient) -> AsyncIterator[MoodleCampus]:
    """A new Moodle."""
    wire = Moodle()
    async with serving(wire):
        yield MoodleCampus(wire, http)


@pytest.fixture
async def edx(http: httpx.AsyncClient) -> AsyncIterator[OpenEdxCampus]:
    """A new Open edX."""
    wire = OpenEdx()
    async with serving(wire):
        yield OpenEdxCampus(wire, http)


@pytest.fixture
def standin(control: LmsControl, http: httpx.AsyncClient) -> StandinCampus:
    """The stand-in, as new."""
    return StandinCampus(control, TOKEN, http)


@pytest.fixture(params=["standin", "moodle", "edx"])
def campus(request: pytest.FixtureRequest) -> Campus:
    """Each LMS in turn."""
    found: Campus = request.getfixturevalue(request.param)
    return found
