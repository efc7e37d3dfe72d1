"""Settings from the environment or `.env`: read here, handed on as values, refused when unsafe."""

import re
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from integrations.lms import LmsAccess
from integrations.lms.tokens import LmsTokenSettings

DEVELOPMENT_STRIPE_KEY = "sk_test_commerce_development"
# As `devstack/credentials.py` names its keys.
_DEVELOPMENT_KID = re.compile(r'"kid"\s*:\s*"dev-')
_SHORTEST_SECRET = 16
# Beside https, what browsers hold to be as safe: the operator's own machine, where a tunnel to the UI ends.
_ORIGIN_OF_A_UI = re.compile(r"https://[^*]+|http://(localhost|127\.0\.0\.1)(:\d{1,5})?")


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


# What each kind of LMS can't do without.
_LMS_NEEDS = {
    "standin": ("lms_token",),
    "moodle": ("lms_token", "lms_login_service"),
    "openedx": ("lms_client_id", "lms_client_secret"),
}


class LmsSettings(BaseSettings):
    """The LMS; all that `commerce lms check` needs."""

    # A setting that is given and empty counts as not given: so compose files pass on what is optional.
    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    lms_kind: Literal["standin", "moodle", "openedx"] = "standin"
    lms_base_url: str
    lms_token: SecretStr = SecretStr("")
    lms_client_id: str = ""
    lms_client_secret: SecretStr = SecretStr("")
    # None named: the ones above.
    lms_login_client_id: str = ""
    lms_login_client_secret: SecretStr = SecretStr("")
    lms_login_service: str = ""
    lms_student_role_id: int = Field(default=5, gt=0)
    lms_enrolment_mode: str = "audit"

    @property
    def lms_access(self) -> LmsAccess:
        """Handed to `integrations.lms.make_lms`."""
        return LmsAccess(
            kind=self.lms_kind,
            base_url=self.lms_base_url,
            token=self.lms_token.get_secret_value(),
            client_id=self.lms_client_id,
            client_secret=self.lms_client_secret.get_secret_value(),
            login_client_id=self.lms_login_client_id,
            login_client_secret=self.lms_login_client_secret.get_secret_value(),
            login_service=self.lms_login_service,
            student_role_id=self.lms_student_role_id,
            enrolment_mode=self.lms_enrolment_mode,
        )

    @model_validator(mode="after")
    def _complete_for_its_kind(self) -> Self:
        given = {
            "lms_token": self.lms_token.get_secret_value(),
            "lms_client_id": self.lms_client_id,
            "lms_client_secret": self.lms_client_secret.get_secret_value(),
            "lms_login_service": self.lms_login_service,
        }
        missing = [name.upper() for name in _LMS_NEEDS[self.lms_kind] if not given[name]]
        if missing:
            raise ValueError(f"LMS_KIND={self.lms_kind} needs {' and '.join(missing)}")
        if bool(self.lms_login_client_id) != bool(self.lms_login_client_secret.get_secret_value()):
            raise ValueError("LMS_LOGIN_CLIENT_ID and LMS_LOGIN_CLIENT_SECRET go together")
        return self


class Settings(LmsSettings):
    """All settings of the product. Secrets never appear in a repr or a log."""

    commerce_env: Literal["development", "test", "production"] = "development"
    log_format: Literal["plain", "json"] | None = None
    database_url: SecretStr
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_task_queue: str = "commerce"
    temporal_tls_cert: str | None = None
    temporal_tls_key: SecretStr | None = None
    temporal_api_key: SecretStr | None = None
    temporal_encrypt_payloads: bool = True
    temporal_ui_origins: str = ""
    cors_origins: str = ""
    temporal_sticky_timeout_seconds: float = Field(default=1.0, gt=0)
    stripe_secret_key: SecretStr
    stripe_publishable_key: str
    stripe_webhook_secret: SecretStr
    stripe_api_base: str | None = None
    lms_webhook_secret: SecretStr
    lms_jwks_url: str = ""
    lms_jwt_issuer: str = ""
    lms_jwt_audience: str = ""
    lms_poll_seconds: int = Field(default=300, ge=10)
    # Moodle on a small machine answers 25 a second; Open edX throttles staff at two.
    lms_calls_per_second: float = Field(default=10, ge=0.1, le=1000)
    lms_settle_seconds: float = Field(default=300, gt=0, le=86400)
    lms_poll_at_once: int = Field(default=200, gt=0)
    payout_webhook_secret: SecretStr
    seller_name: str = "Commerce Academy Ltd"
    seller_address: str = "1 Learning Street, London EC1A 1AA"
    seller_vat_id: str = "GB123456789"
    seller_country: str = Field(default="GB", pattern=r"^[A-Z]{2}$")
    tax_provider: Literal["table", "stripe"] = "table"
    vat_check: Literal["format", "vies"] = "format"
    vies_api_base: str | None = None
    dispute_access: Literal["suspend", "keep"] = "suspend"
    payment_window_minutes: float = Field(default=30, gt=0)
    refund_window_days: int = Field(default=14, ge=0)
    refund_max_progress_percent: int = Field(default=30, ge=0, le=100)
    earnings_hold_days: float = Field(default=30, ge=0)
    # Stripe's own list goes back 30 days, a schedule of attempts three; the database keeps a year of the log.
    inbox_retention_days: int = Field(default=90, ge=30)
    webhook_log_retention_days: int = Field(default=90, ge=7)
    audit_retention_days: int = Field(default=730, ge=365)
    resolution_days: float = Field(default=7, gt=0, le=365)
    rate_limit_factor: float = Field(default=1, ge=0)
    # For receivers on the developer's own machine; whoever may add an endpoint could reach inside otherwise.
    webhook_private_addresses: bool = False
    public_url: str = "http://127.0.0.1:8000"
    jwt_signing_keys: SecretStr
    access_token_minutes: float = Field(default=15, ge=0.1, le=60)
    secrets_key: SecretStr

    @cached_property
    def stripe_webhook_secrets(self) -> tuple[str, ...]:
        """All secrets that are valid now; several while one is being rotated."""
        return _split(self.stripe_webhook_secret.get_secret_value())

    @cached_property
    def lms_webhook_secrets(self) -> tuple[str, ...]:
        """Secrets that sign the LMS's events."""
        return _split(self.lms_webhook_secret.get_secret_value())

    @cached_property
    def payout_webhook_secrets(self) -> tuple[str, ...]:
        """Secrets that sign the payout system's events."""
        return _split(self.payout_webhook_secret.get_secret_value())

    @cached_property
    def ui_origins(self) -> tuple[str, ...]:
        """Origins of Temporal UIs whose pages may have payloads decrypted."""
        return _split(self.temporal_ui_origins)

    @property
    def log_lines(self) -> Literal["plain", "json"]:
        """As set; else for machines in production and for people elsewhere."""
        return self.log_format or ("json" if self.commerce_env == "production" else "plain")

    @property
    def lms_tokens(self) -> LmsTokenSettings | None:
        """Whose access tokens are accepted beside our own; None: nobody's."""
        given = (self.lms_jwks_url, self.lms_jwt_issuer, self.lms_jwt_audience)
        return LmsTokenSettings(*given) if all(given) else None

    @model_validator(mode="after")
    def _whole_lms_tokens(self) -> Self:
        given = [bool(self.lms_jwks_url), bool(self.lms_jwt_issuer), bool(self.lms_jwt_audience)]
        if any(given) and not all(given):
            raise ValueError("LMS_JWKS_URL, LMS_JWT_ISSUER and LMS_JWT_AUDIENCE go together")
        if self.lms_jwt_issuer and self.lms_jwt_issuer == self.public_url:
            raise ValueError("LMS_JWT_ISSUER is PUBLIC_URL: tokens of the LMS could not be told from ours")
        return self

    @cached_property
    def cors_origin_list(self) -> tuple[str, ...]:
        """Origins of front ends in browsers that may call the gateway."""
        return _split(self.cors_origins)

    @model_validator(mode="after")
    def _refuse_unsafe_production(self) -> Self:
        if self.commerce_env != "production":
            return self
        unsafe = _unsafe_in_production(self)
        if unsafe:
            raise ValueError("refusing to start in production: " + "; ".join(unsafe))
        return self


def _unsafe_in_production(settings: Settings) -> list[str]:
    """What names a test key, a stand-in, a secret of the embedded stack or one that can be guessed."""
    stripe_key, keys = settings.stripe_secret_key.get_secret_value(), settings.secrets_key.get_secret_value()
    senders = {
        "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secrets,
        "LMS_WEBHOOK_SECRET": settings.lms_webhook_secrets,
        "PAYOUT_WEBHOOK_SECRET": settings.payout_webhook_secrets,
    }
    given = [secret for secrets in senders.values() for secret in secrets]
    found = {
        "STRIPE_SECRET_KEY is a test key": stripe_key.startswith(("sk_test_", "rk_test_")),
        "STRIPE_PUBLISHABLE_KEY is a test key": settings.stripe_publishable_key.startswith("pk_test_"),
        "STRIPE_API_BASE points away from Stripe": settings.stripe_api_base is not None,
        "VIES_API_BASE points away from VIES": settings.vies_api_base is not None,
        "LMS_KIND is the stand-in": settings.lms_kind == "standin",
        "LMS_BASE_URL is not https: passwords go there": not settings.lms_base_url.startswith("https://"),
        "LMS_JWKS_URL is not https": settings.lms_jwks_url.startswith("http://"),
        "TEMPORAL_ENCRYPT_PAYLOADS is off": not settings.temporal_encrypt_payloads,
        "RATE_LIMIT_FACTOR is 0": settings.rate_limit_factor == 0,
        "WEBHOOK_PRIVATE_ADDRESSES is on": settings.webhook_private_addresses,
        "PUBLIC_URL is not https": not settings.public_url.startswith("https://"),
        "JWT_SIGNING_KEYS holds a key of the embedded stack": _DEVELOPMENT_KID.search(
            settings.jwt_signing_keys.get_secret_value()
        ),
        "SECRETS_KEY holds a key of the embedded stack": any(key.startswith("dev") for key in _split(keys)),
        "CORS_ORIGINS names an origin without https": not all(
            origin.startswith("https://") for origin in settings.cors_origin_list
        ),
        "TEMPORAL_UI_ORIGINS names an origin without https": not all(
            _ORIGIN_OF_A_UI.fullmatch(origin) for origin in settings.ui_origins
        ),
        "two senders of webhooks share a secret": len(set(given)) < len(given),
    }
    return [
        *(reason for reason, applies in found.items() if applies),
        *(f"{name} can be guessed" for name, secrets in senders.items() if any(map(_is_weak, secrets))),
    ]


def _is_weak(secret: str) -> bool:
    """Shorter than any that a sender makes, or hardly random."""
    secret = secret.removeprefix("whsec_")
    return len(secret) < _SHORTEST_SECRET or len(set(secret)) < _SHORTEST_SECRET // 2


class OwnerSettings(BaseSettings):
    """What migrations need: the owner's connection, which the application never gets."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    database_owner_url: SecretStr
