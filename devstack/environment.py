"""The environment of the product's processes, and where everything is."""

from collections.abc import Mapping
from dataclasses import dataclass

from config import DEVELOPMENT_STRIPE_KEY
from devstack.credentials import Credentials
from devstack.errors import StackError
from devstack.ports import LOOPBACK
from devstack.postgres import APP_ROLE, OWNER_ROLE, Postgres
from devstack.settings import External, StackSettings
from devstack.temporal import NAMESPACE

# Settings of a server elsewhere, which must not reach a product that runs against the embedded one.
_NOT_HANDED_ON = ("DATABASE_OWNER_URL", "TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY", "TEMPORAL_API_KEY")


@dataclass(frozen=True)
class StackUrls:
    """Addresses for people and for tests."""

    gateway: str
    temporal: str
    temporal_ui: str
    stripe: str
    lms: str
    payout: str
    # The application role's address of the database, for SQLAlchemy.
    database_url: str
    owner_url: str


def uses_real_stripe(environment: Mapping[str, str]) -> bool:
    """Whether the user gave a key of a real Stripe account: then no stand-in starts."""
    return environment.get("STRIPE_SECRET_KEY", "") not in {"", DEVELOPMENT_STRIPE_KEY}


def uses_real_lms(environment: Mapping[str, str]) -> bool:
    """Whether the user named an LMS: then no stand-in starts."""
    return bool(environment.get("LMS_BASE_URL"))


def servers_of(settings: StackSettings, postgres: Postgres | None) -> External:
    """Where the product finds its database and its Temporal."""
    if settings.external is not None:
        return settings.external
    assert postgres is not None
    return External(
        database_url=postgres.url(APP_ROLE),
        owner_url=postgres.url(OWNER_ROLE),
        temporal_address=f"{LOOPBACK}:{settings.ports.temporal}",
        temporal_namespace=NAMESPACE,
    )


def urls_of(settings: StackSettings, servers: External) -> StackUrls:
    """All addresses of a stack."""
    ports, given = settings.ports, settings.environment
    stripe = f"http://{LOOPBACK}:{ports.stripe_standin}"
    lms = f"http://{LOOPBACK}:{ports.lms_standin}"
    if uses_real_stripe(given):
        stripe = given.get("STRIPE_API_BASE") or "https://api.stripe.com"
    if uses_real_lms(given):
        lms = given["LMS_BASE_URL"]
    return StackUrls(
        gateway=f"http://{LOOPBACK}:{ports.gateway}",
        temporal=servers.temporal_address,
        temporal_ui=f"http://{LOOPBACK}:{ports.temporal_ui}",
        stripe=stripe,
        lms=lms,
        payout=f"http://{LOOPBACK}:{ports.payout}",
        database_url=servers.database_url,
        owner_url=servers.owner_url,
    )


def product_environment(
    settings: StackSettings, credentials: Credentials, servers: External, urls: StackUrls
) -> dict[str, str]:
    """What gateway and worker get: what the user set, completed for the embedded servers."""
    given = {name: value for name, value in settings.environment.items() if name not in _NOT_HANDED_ON}
    fallbacks = {
        "COMMERCE_ENV": "development",
        "TEMPORAL_TASK_QUEUE": "commerce",
        "PUBLIC_URL": urls.gateway,
        # Tests, demo and bench are many people at one address.
        "RATE_LIMIT_FACTOR": "1000",
        # The payout system's stand-in, and receivers that a developer tries, are on this machine.
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
        "LMS_CALLS_PER_SECOND": "200",
        "LMS_SETTLE_SECONDS": "10",
        "TEMPORAL_UI_ORIGINS": f"{urls.temporal_ui},{urls.temporal_ui.replace(LOOPBACK, 'localhost')}",
        "PAYOUT_WEBHOOK_SECRET": credentials.payout_webhook_secret,
        "JWT_SIGNING_KEYS": credentials.jwt_signing_keys,
        "SECRETS_KEY": credentials.secrets_key,
    }
    embedded = {
        "DATABASE_URL": servers.database_url,
        "TEMPORAL_ADDRESS": servers.temporal_address,
        "TEMPORAL_NAMESPACE": servers.temporal_namespace,
        "PYTHONPATH": str(settings.project),
        "PYTHONUNBUFFERED": "1",
        # Our own servers are never behind the proxy that a company may prescribe.
        "NO_PROXY": _with_loopback(given.get("NO_PROXY") or given.get("no_proxy", "")),
        "no_proxy": _with_loopback(given.get("NO_PROXY") or given.get("no_proxy", "")),
    }
    stripe = _stripe(given, credentials, urls)
    lms = _lms(given, credentials, urls)
    kept = {name: value for name, value in given.items() if value}
    return fallbacks | kept | embedded | stripe | lms


def _stripe(given: Mapping[str, str], credentials: Credentials, urls: StackUrls) -> dict[str, str]:
    if uses_real_stripe(given):
        _require(given, "STRIPE_SECRET_KEY", ("STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET"))
        return {}
    return {
        "STRIPE_SECRET_KEY": DEVELOPMENT_STRIPE_KEY,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_commerce_development",
        "STRIPE_WEBHOOK_SECRET": credentials.stripe_webhook_secret,
        "STRIPE_API_BASE": urls.stripe,
    }


def _lms(given: Mapping[str, str], credentials: Credentials, urls: StackUrls) -> dict[str, str]:
    if uses_real_lms(given):
        _require(given, "LMS_BASE_URL", ("LMS_WEBHOOK_SECRET",))
        return {}
    return {
        "LMS_KIND": "standin",
        "LMS_BASE_URL": urls.lms,
        "LMS_TOKEN": credentials.lms_token,
        "LMS_WEBHOOK_SECRET": credentials.lms_webhook_secret,
    }


def _require(given: Mapping[str, str], because: str, names: tuple[str, ...]) -> None:
    if missing := [name for name in names if not given.get(name)]:
        raise StackError(f"{because} is set, so {' and '.join(missing)} must be set too")


def _with_loopback(no_proxy: str) -> str:
    present = [part for part in no_proxy.split(",") if part]
    return ",".join([*present, *(host for host in (LOOPBACK, "localhost") if host not in present)])
