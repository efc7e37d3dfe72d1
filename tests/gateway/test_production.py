"""In production nothing starts with test keys, stand-ins, development's secrets or guessable ones."""

import json
import secrets

import pytest
from pydantic import ValidationError

from config import Settings
from devstack.credentials import Credentials

DEVELOPMENT = Credentials.generate()
SHARED = f"whsec_{secrets.token_urlsafe(24)}"
GOOD = {
    "commerce_env": "production",
    "database_url": "postgresql+psycopg://commerce_app:x@db/commerce",
    "stripe_secret_key": "sk_live_x",
    "stripe_publishable_key": "pk_live_x",
    "stripe_webhook_secret": f"whsec_{secrets.token_urlsafe(24)}",
    "lms_kind": "moodle",
    "lms_base_url": "https://learn.example.com",
    "lms_token": secrets.token_hex(16),
    "lms_login_service": "commerce_login",
    "lms_webhook_secret": SHARED,
    "payout_webhook_secret": f"whsec_{secrets.token_urlsafe(24)}",
    "public_url": "https://pay.example.com",
    "jwt_signing_keys": json.dumps([{"kid": "2026-11", "kty": "OKP", "crv": "Ed25519"}]),
    "secrets_key": "2026-11:x",
}
REASONS = {
    "STRIPE_SECRET_KEY is a test key": {"stripe_secret_key": "sk_test_x"},
    "STRIPE_PUBLISHABLE_KEY is a test key": {"stripe_publishable_key": "pk_test_x"},
    "STRIPE_API_BASE points away": {"stripe_api_base": "http://127.0.0.1:12111"},
    "VIES_API_BASE points away": {"vies_api_base": "http://127.0.0.1:9"},
    "LMS_KIND is the stand-in": {"lms_kind": "standin"},
    "LMS_JWKS_URL is not https": {
        "lms_jwks_url": "http://learn.example.com/jwks",
        "lms_jwt_issuer": "https://learn.example.com",
        "lms_jwt_audience": "commerce",
    },
    "LMS_BASE_URL is not https": {"lms_base_url": "http://learn.example.com"},
    "TEMPORAL_ENCRYPT_PAYLOADS is off": {"temporal_encrypt_payloads": "false"},
    "RATE_LIMIT_FACTOR is 0": {"rate_limit_factor": "0"},
    "WEBHOOK_PRIVATE_ADDRESSES is on": {"webhook_private_addresses": "true"},
    "PUBLIC_URL is not https": {"public_url": "http://pay.example.com"},
    "JWT_SIGNING_KEYS holds a key of the embedded": {"jwt_signing_keys": DEVELOPMENT.jwt_signing_keys},
    "SECRETS_KEY holds a key of the embedded": {"secrets_key": f"2026-11:x,{DEVELOPMENT.secrets_key}"},
    "CORS_ORIGINS names an origin without https": {"cors_origins": "https://learn.example.com,*"},
    "TEMPORAL_UI_ORIGINS names an origin without https": {
        "temporal_ui_origins": "http://localhost:8233,http://temporal.example.com"
    },
    "two senders of webhooks share": {"payout_webhook_secret": SHARED},
    "STRIPE_WEBHOOK_SECRET can be guessed": {"stripe_webhook_secret": f"{SHARED[:-1]},whsec_changeme"},
    "LMS_WEBHOOK_SECRET can be guessed": {"lms_webhook_secret": "x" * 40},
    "PAYOUT_WEBHOOK_SECRET can be guessed": {"payout_webhook_secret": "secret"},
}


def start(**changes: str) -> Settings:
    return Settings.model_validate(GOOD | changes)


def test_what_is_safe_starts() -> None:
    assert start(cors_origins="https://learn.example.com").commerce_env == "production"


@pytest.mark.parametrize(
    "origin", ["https://temporal.example.com", "http://localhost:8233", "http://127.0.0.1:8233"]
)
def test_a_temporal_ui_is_behind_https_or_at_the_end_of_a_tunnel(origin: str) -> None:
    assert start(temporal_ui_origins=origin).ui_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*",
        "http://localhost.example.com",
        "http://10.0.0.5:8233",
        "http://127.0.0.1.example.com",
    ],
)
def test_payloads_are_opened_for_no_other_pages(origin: str) -> None:
    with pytest.raises(ValidationError, match="TEMPORAL_UI_ORIGINS"):
        start(temporal_ui_origins=origin)


@pytest.mark.parametrize("environment", ["development", "test", "production"])
def test_receivers_inside_are_out_of_reach_unless_somebody_says_so(environment: str) -> None:
    assert start(commerce_env=environment).webhook_private_addresses is False


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_not_safe_is_named_and_nothing_else(reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refusal:
        start(**REASONS[reason])
    assert str(refusal.value).count(";") == 0
    assert not any(value in str(refusal.value) for value in (SHARED, DEVELOPMENT.secrets_key))


@pytest.mark.parametrize("reason", REASONS)
def test_development_starts_with_it(reason: str) -> None:
    assert start(**(REASONS[reason] | {"commerce_env": "development"}))
