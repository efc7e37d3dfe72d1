"""A gateway in this process for each module; its database and its LMS are real."""

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from api.main import create_app
from config import DEVELOPMENT_STRIPE_KEY, Settings
from devstack.credentials import Credentials
from devstack.lms_standin.control import LmsControl
from devstack.seed import seed
from tests.api.callers import Gateway
from tests.lms.processes import StandinProcess

LMS_TOKEN = "lms-token-of-the-tests"
SECRET = "whsec_bG1zLXdlYmhvb2stc2VjcmV0LW9mLXRlc3Rz"


@pytest.fixture(scope="session")
def lms_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinProcess]:
    """One stand-in LMS for all modules."""
    process = StandinProcess(
        "devstack.lms_standin",
        *("--data-dir", str(tmp_path_factory.mktemp("api-lms")), "--token", LMS_TOKEN),
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    """Fresh secrets; the second key of tokens verifies only."""
    first, second = Credentials.generate(), Credentials.generate()
    keys = [*json.loads(first.jwt_signing_keys), *json.loads(second.jwt_signing_keys)]
    return Credentials(**{**vars(first), "jwt_signing_keys": json.dumps(keys)})


@pytest.fixture(scope="module")
async def gateway(
    database_url: str, lms_process: StandinProcess, credentials: Credentials
) -> AsyncIterator[Gateway]:
    """The module's gateway, seeded. Nothing here asks Temporal or Stripe: they are not there."""
    await seed(
        database_url,
        payout_url="http://127.0.0.1:9",
        payout_secret=credentials.payout_receiver_secret,
        secrets_key=credentials.secrets_key,
    )
    settings = Settings.model_validate(
        {
            "commerce_env": "test",
            "database_url": database_url,
            "temporal_address": "127.0.0.1:9",
            "stripe_secret_key": DEVELOPMENT_STRIPE_KEY,
            "stripe_publishable_key": "pk_test_commerce",
            "stripe_webhook_secret": SECRET,
            "stripe_api_base": "http://127.0.0.1:9",
            "lms_base_url": lms_process.base_url,
            "lms_token": LMS_TOKEN,
            "lms_webhook_secret": SECRET,
            "payout_webhook_secret": SECRET,
            "jwt_signing_keys": credentials.jwt_signing_keys,
            "secrets_key": credentials.secrets_key,
        }
    )
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http,
        LmsControl(lms_process.base_url) as lms,
    ):
        found = Gateway(http, app.state.services, lms)
        found.operator = await found.person("operator")
        yield found
