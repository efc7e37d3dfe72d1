"""Secrets and personal data that are planted while tests run, and looked for in what the run left behind."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.servers import run_directory

if TYPE_CHECKING:
    from tests.e2e.conftest import Shop

# What every learner of `Shop.learner` has.
PERSONAL = rb"learner\.[0-9a-f]{12}@example\.com"

planted: dict[str, str] = {}


def plant(name: str, value: str) -> str:
    """Remember a value that nobody may find later."""
    planted[name] = value
    return value


def secrets_of(shop: "Shop") -> dict[str, str]:
    """What the stack's processes were given to keep."""
    given = shop.stack.credentials
    whole = {
        "database password": given.database.app,
        "Stripe's webhook secret": given.stripe_webhook_secret,
        "the LMS's webhook secret": given.lms_webhook_secret,
        "LMS token": given.lms_token,
        "the payout system's webhook secret": given.payout_webhook_secret,
        "secret of outbound events": given.payout_receiver_secret,
        "key that seals": given.secrets_key.split(":", 1)[1],
    }
    return whole | {
        f"signing key {number}": part
        for number, part in enumerate(re.findall(r'"d": ?"([^"]+)"', given.jwt_signing_keys))
    }


async def found(shop: "Shop", temporal_files: list[Path]) -> list[str]:
    """Where planted values, the stack's secrets and learners' addresses turned up."""
    values = {**planted, **secrets_of(shop)}
    places = {
        "the gateway's log": shop.stack.log_of("gateway").encode(),
        "the worker's log": shop.stack.log_of("worker").encode(),
        "the ledger": "\n".join(
            row["line"]
            for row in await shop.query(
                "SELECT e::text AS line FROM journal_entry e UNION ALL SELECT p::text FROM posting p "
                "UNION ALL SELECT d::text FROM period_change d"
            )
        ).encode(),
    }
    for path in temporal_files:
        places[f"Temporal's {path.name}"] = await asyncio.to_thread(path.read_bytes)
    return [
        f"{name} in {place}"
        for place, content in places.items()
        for name, value in values.items()
        if value.encode() in content
    ] + [
        f"a learner's address in {place}: {match.group().decode()}"
        for place, content in places.items()
        if (match := re.search(PERSONAL, content))
    ]


def temporal_files() -> list[Path]:
    """Where the run's Temporal keeps histories."""
    return sorted((run_directory() / "servers").rglob("temporal.db*"))
