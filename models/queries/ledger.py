"""Writing journal entries. Reading them for operators stands in `journals.py`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from domain.errors import LedgerError
from domain.ledger import EntryDraft
from models.database import Session

ENTITY = "main"


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """A journal entry as it stands; `fresh` is False when it had been posted before."""

    id: str
    event_key: str
    kind: str
    fresh: bool


def content_hash(draft: EntryDraft) -> str:
    """SHA-256 over kind and postings: two facts under one key differ in it."""
    rows = sorted((p.account, p.sub or "", p.currency, p.amount) for p in draft.postings)
    return hashlib.sha256(json.dumps([draft.kind, rows], separators=(",", ":")).encode()).hexdigest()


async def post(
    session: Session, drafts: Sequence[EntryDraft], *, order_id: str | None, effective_at: datetime
) -> list[PostedEntry]:
    """Post each draft once per business fact.

    Raises LedgerError, an alarm that no retry mends, when the key exists with other content.
    """
    return [await _post_one(session, draft, order_id, effective_at) for draft in drafts]


async def _post_one(
    session: Session, draft: EntryDraft, order_id: str | None, effective_at: datetime
) -> PostedEntry:
    digest = content_hash(draft)
    entry_id = (
        await session.execute(
            text(
                "INSERT INTO journal_entry "
                "(entity, event_key, kind, order_id, content_hash, effective_at) "
                "VALUES (:entity, :event_key, :kind, CAST(:order_id AS uuid), :digest, :effective_at) "
                "ON CONFLICT (entity, event_key) DO NOTHING RETURNING id"
            ),
            {
                "entity": ENTITY,
                "event_key": draft.event_key,
                "kind": draft.kind,
                "order_id": order_id,
                "digest": digest,
                "effective_at": effective_at,
            },
        )
    ).scalar_one_or_none()
    if entry_id is None:
        return await _existing(session, draft, digest)
    await session.execute(
        text(
            "INSERT INTO posting (entry_id, ordinal, account, sub, currency, amount) "
            "VALUES (:entry_id, :ordinal, :account, :sub, :currency, :amount)"
        ),
        [
            {
                "entry_id": entry_id,
                "ordinal": ordinal,
                "account": str(posting.account),
                "sub": posting.sub,
                "currency": posting.currency,
                "amount": posting.amount,
            }
            for ordinal, posting in enumerate(draft.postings, start=1)
        ],
    )
    return PostedEntry(str(entry_id), draft.event_key, draft.kind, fresh=True)


async def _existing(session: Session, draft: EntryDraft, digest: str) -> PostedEntry:
    row = (
        await session.execute(
            text(
                "SELECT id, kind, content_hash FROM journal_entry "
                "WHERE entity = :entity AND event_key = :event_key"
            ),
            {"entity": ENTITY, "event_key": draft.event_key},
        )
    ).one()
    if row.content_hash != digest:
        raise LedgerError(f"{draft.event_key} is already posted with other content")
    return PostedEntry(str(row.id), draft.event_key, row.kind, fresh=False)
