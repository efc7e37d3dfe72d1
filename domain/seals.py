"""Hashes of journal entries and of the chain's blocks: recomputable by anybody from the stored rows.

Every hash is SHA-256 in hex over JSON without spaces, non-ASCII escaped, moments as ISO 8601 in UTC with
microseconds. Nothing here reads a column that says what the hash ought to be.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

GENESIS = "0" * 64  # what the first block follows


@dataclass(frozen=True, slots=True)
class PostingImage:
    """A posting as it is stored; minor units."""

    ordinal: int
    account: str
    sub: str | None
    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class EntryImage:
    """A journal entry as it is stored."""

    id: str
    entity: str
    event_key: str
    kind: str
    order_id: str | None
    reverses: str | None
    operator_id: str | None
    content_hash: str
    occurred_at: datetime
    effective_at: datetime
    recorded_at: datetime
    postings: tuple[PostingImage, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is sealed of an entry: of its own row, and of its postings."""

    header: str
    postings: str


def content_hash(kind: str, postings: Iterable[tuple[str, str | None, str, int]]) -> str:
    """Over kind and (account, sub, currency, amount): two facts under one key differ in it."""
    rows = sorted((account, sub or "", currency, amount) for account, sub, currency, amount in postings)
    return _hash([kind, rows])


def content_hash_of(entry: EntryImage) -> str:
    """The content hash that the entry ought to carry."""
    return content_hash(entry.kind, ((p.account, p.sub, p.currency, p.amount) for p in entry.postings))


def leaf_of(entry: EntryImage) -> Leaf:
    """What is sealed of an entry."""
    header = _hash(
        [
            entry.id,
            entry.entity,
            entry.event_key,
            entry.kind,
            entry.order_id,
            entry.reverses,
            entry.operator_id,
            entry.content_hash,
            _moment(entry.occurred_at),
            _moment(entry.effective_at),
            _moment(entry.recorded_at),
        ]
    )
    rows = [[p.ordinal, p.account, p.sub, p.currency, p.amount] for p in entry.postings]
    return Leaf(header, _hash(rows))


def block_hash(
    number: int,
    first_position: int,
    previous_hash: str,
    horizon: str,
    sealed_at: datetime,
    leaves: Sequence[tuple[str, Leaf]],
) -> str:
    """Over the block before, the block's own row, and (entry id, leaf) in the order of positions."""
    rows = [[entry_id, leaf.header, leaf.postings] for entry_id, leaf in leaves]
    return _hash([number, first_position, previous_hash, horizon, _moment(sealed_at), rows])


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
