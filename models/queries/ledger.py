"""Writing journal entries. Reading them for operators stands in `journals.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from domain.errors import Conflict, LedgerError
from domain.ledger import EntryDraft
from domain.seals import content_hash
from models.database import Session

ENTITY = "main"


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """A journal entry as it stands; `fresh` is False when it had been posted before."""

    id: str
    event_key: str
    kind: str
    fresh: bool


async def post(
    session: Session,
    drafts: Sequence[EntryDraft],
    *,
    order_id: str | None,
    effective_at: datetime,
    operator_id: str | None = None,
) -> list[PostedEntry]:
    """Post each draft once per business fact.

    A fact that comes late, when the month of `effective_at` is closed or soft-closed, counts from the start
    of the first open month; its own date is kept as `occurred_at`. An adjustment (`operator_id` says whose)
    may go into a soft-closed month, and is never moved: Conflict `period_closed`.

    Raises LedgerError, an alarm that no retry mends, when the key exists with other content.
    """
    return [await _post_one(session, draft, order_id, effective_at, operator_id) for draft in drafts]


async def _post_one(
    session: Session,
    draft: EntryDraft,
    order_id: str | None,
    effective_at: datetime,
    operator_id: str | None,
) -> PostedEntry:
    digest = content_hash(draft.kind, ((p.account, p.sub, p.currency, p.amount) for p in draft.postings))
    if operator_id is not None:
        known = await _existing(session, draft, digest)
        if known is not None:
            return known
        await _require_not_closed(session, effective_at)
    entry_id = (
        await session.execute(
            text(
                "INSERT INTO journal_entry (entity, event_key, kind, order_id, operator_id, content_hash, "
                "occurred_at, effective_at) VALUES (:entity, :event_key, :kind, CAST(:order_id AS uuid), "
                "CAST(:operator_id AS uuid), :digest, :at, CASE WHEN CAST(:operator_id AS uuid) IS NULL THEN "
                "greatest(CAST(:at AS timestamptz), month_start((ledger_soft_closed_through(:entity) + "
                "interval '1 month')::date)) ELSE :at END) "
                "ON CONFLICT (entity, event_key) DO NOTHING RETURNING id"
            ),
            {
                "entity": ENTITY,
                "event_key": draft.event_key,
                "kind": draft.kind,
                "order_id": order_id,
                "operator_id": operator_id,
                "digest": digest,
                "at": effective_at,
            },
        )
    ).scalar_one_or_none()
    if entry_id is None:
        known = await _existing(session, draft, digest)
        if known is None:
            raise LedgerError(f"{draft.event_key} can neither be posted nor found")
        return known
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


async def _existing(session: Session, draft: EntryDraft, digest: str) -> PostedEntry | None:
    row = (
        await session.execute(
            text(
                "SELECT id, kind, content_hash FROM journal_entry "
                "WHERE entity = :entity AND event_key = :event_key"
            ),
            {"entity": ENTITY, "event_key": draft.event_key},
        )
    ).one_or_none()
    if row is None:
        return None
    if row.content_hash != digest:
        raise LedgerError(f"{draft.event_key} is already posted with other content")
    return PostedEntry(str(row.id), draft.event_key, row.kind, fresh=False)


async def _require_not_closed(session: Session, effective_at: datetime) -> None:
    through = (
        await session.execute(
            text(
                "SELECT to_char(ledger_closed_through(:entity), 'YYYY-MM') "
                "WHERE month_of(:at) <= ledger_closed_through(:entity)"
            ),
            {"entity": ENTITY, "at": effective_at},
        )
    ).scalar_one_or_none()
    if through is not None:
        raise Conflict(f"the ledger is closed through {through}", code="period_closed")
