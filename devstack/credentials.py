"""Secrets of the embedded stack: made once at random, kept in a file that only we can read."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class DatabasePasswords:
    """Passwords of the database roles; letters, digits, `-` and `_`, so they stand in a URL as they are."""

    superuser: str
    owner: str
    app: str

    def of(self, role: str) -> str:
        """The password of a database role."""
        return {"postgres": self.superuser, "commerce_owner": self.owner, "commerce_app": self.app}[role]

    @classmethod
    def generate(cls) -> "DatabasePasswords":
        """New random passwords."""
        return cls(*(secrets.token_urlsafe(24) for _ in range(3)))


@dataclass(frozen=True)
class Credentials:
    """All that the development stack must keep secret."""

    database: DatabasePasswords
    stripe_webhook_secret: str
    lms_webhook_secret: str
    lms_token: str
    payout_webhook_secret: str
    # What the payout receiver checks our outbound events with.
    payout_receiver_secret: str
    jwt_signing_keys: str
    secrets_key: str

    @classmethod
    def generate(cls) -> "Credentials":
        """New random secrets."""
        return cls(
            database=DatabasePasswords.generate(),
            stripe_webhook_secret=_webhook_secret(),
            lms_webhook_secret=_webhook_secret(),
            lms_token=secrets.token_urlsafe(24),
            payout_webhook_secret=_webhook_secret(),
            payout_receiver_secret=_webhook_secret(),
            jwt_signing_keys=json.dumps([_signing_key()]),
            secrets_key=f"dev{secrets.token_hex(3)}:{_base64url(secrets.token_bytes(32))}",
        )

    @classmethod
    def load_or_generate(cls, path: Path) -> "Credentials":
        """Read the file, or make it at the first start."""
        if path.exists():
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            stored["database"] = DatabasePasswords(**stored["database"])
            return cls(**stored)
        made = cls.generate()
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(made), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        return made


def _webhook_secret() -> str:
    # Standard Webhooks wants plain base64; Stripe's secrets look the same and are used as they are.
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signing_key() -> dict[str, str]:
    private = Ed25519PrivateKey.generate()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": f"dev-{secrets.token_hex(4)}",
        "x": _base64url(private.public_key().public_bytes_raw()),
        "d": _base64url(private.private_bytes_raw()),
    }
