"""The ledger as operators read it, and earnings as instructors do."""

import json
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts import Account
from domain.ledger import EntryDraft, Posting
from models.queries import ledger
from tests.api.callers import Gateway

NOW = datetime.now(UTC)


async def post(
    gateway: Gateway,
    *sides: tuple[Account, str | None, int],
    order_id: str | None = None,
    days_ago: int = 0,
    currency: str = "USD",
) -> str:
    """One entry; its event key."""
    key = f"test:{uuid.uuid4()}"
    draft = EntryDraft(
        key, "test", tuple(Posting(account, sub, currency, amount) for account, sub, amount in sides)
    )
    async with gateway.services.database.transaction() as session:
        await ledger.post(session, [draft], order_id=order_id, effective_at=NOW - timedelta(days=days_ago))
    return key


async def keys(gateway: Gateway, **params: Any) -> list[str]:
    page = await gateway.operator.ok("GET", "/v1/ledger/journals", **params)
    return [entry["event_key"] for entry in page["data"]]


CLEARING, DEFERRED, TAX = Account.PROCESSOR_CLEARING, Account.DEFERRED_REVENUE, Account.TAX_PAYABLE
