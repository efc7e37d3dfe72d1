"""A gateway in this process for each module; its database and its LMS are real."""

import json
import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from api.main import create_app
from config import DEVELOPMENT_STRIPE_KEY, Settings
from devstack.credentials import Credentials
from devstack.lms_standin.control import LmsControl
from devstack.seed import seed
from tests.api.callers import Gateway
from tests.api.commands import Commands
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
def environment(database_url: str, lms_process: StandinProcess, credentials: Credentials) -> dict[str, str]:
    """The product's settings, as a process would get them."""
    return {
        "COMMERCE_ENV": "test",
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "STRIPE_SECRET_KEY": DEVELOPMENT_STRIPE_KEY,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_commerce",
        # While a secret rotates two are valid; the tests sign with the one of before.
        "STRIPE_WEBHOOK_SECRET": f"whsec_c3RyaXBlLW5ldw==,{SECRET}",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "LMS_BASE_URL": lms_process.base_url,
        "LMS_TOKEN": LMS_TOKEN,
        "LMS_WEBHOOK_SECRET": f"whsec_bG1zLW5ldw==,{SECRET}",
        "PAYOUT_WEBHOOK_SECRET": SECRET,
        "JWT_SIGNING_KEYS": credentials.jwt_signing_keys,
        "SECRETS_KEY": credentials.secrets_key,
        "RATE_LIMIT_FACTOR": "1000",
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
    }


@pytest.fixture(scope="module")
def commands(environment: dict[str, str]) -> Commands:
    """The `commerce` command with the gateway's settings."""
    return Commands(os.environ | environment)


@pytest.fixture(scope="module")
async def gateway(
    database_url: str, lms_process: StandinProcess, credentials: Credentials, environment: dict[str, str]
) -> AsyncIterator[Gateway]:
    """The module's gateway, seeded. Nothing here asks Temporal or Stripe: they are not there."""
    await seed(
        database_url,
        payout_url="http://127.0.0.1:9",
        payout_secret=credentials.payout_receiver_secret,
        secrets_key=credentials.secrets_key,
    )
    settings = Settings.model_validate({name.lower(): value for name, value in environment.items()})
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http,
        LmsControl(lms_process.base_url) as lms,
    ):
        found = Gateway(http, app.state.services, lms)
        found.operator = await found.person("operator")
        yield found
