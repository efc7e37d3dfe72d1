"""Two accounts that the LMS made one: kept, and all that was the one's moved to the other."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Uuid, bindparam, text

from domain.identity import MERGED, AccountMerge, merge_of, person_of
from domain.messages import StoredEvent
from models.database import Session
from models.queries import people
from models.queries.people import UserRow


@dataclass(frozen=True, slots=True)
class MergeRow:
    """A merge of `user_id`, whose account ended; `into_user_id` once their orders were moved."""

    id: str
    user_id: str
    into_lms_user_id: str
    into_user_id: str | None
    waits_for: tuple[str, ...]
    created_at: datetime
    moved_at: datetime | None
    done_at: datetime | None


def _merge(row: Row[Any]) -> MergeRow:
    return MergeRow(
        str(row.id),
        str(row.user_id),
        row.into_lms_user_id,
        None if row.into_user_id is None else str(row.into_user_id),
        tuple(row.waits_for),
        row.created_at,
        row.moved_at,
        row.done_at,
    )


async def take_in(session: Session, event_id: str, merge: AccountMerge) -> None:
    """Keep what the LMS told, once an event; the sign-ins of the account that ended end now. Of a stranger
    only what they had completed is moved: there is nothing else."""
    completed = {"ended": merge.lms_user_id, "into": merge.into_lms_user_id}
    await _run(session, _COMPLETIONS, completed)
    await _run(session, _REVOCATIONS, completed)
    kept = await session.execute(
        text(
            "INSERT INTO person_merge (lms_event_id, user_id, into_lms_user_id) "
            "SELECT :event_id, id, :into FROM commerce_user WHERE lms_user_id = :id "
            "ON CONFLICT DO NOTHING RETURNING user_id"
        ),
        {"event_id": event_id, "id": merge.lms_user_id, "into": merge.into_lms_user_id},
    )
    row = kept.one_or_none()
    if row is None:
        return
    await session.execute(
        text("UPDATE commerce_user SET lms_deleted_at = coalesce(lms_deleted_at, now()) WHERE id = :id"),
        {"id": row.user_id},
    )
    await session.execute(
        text("UPDATE refresh_token SET revoked = true WHERE user_id = :id"), {"id": row.user_id}
    )


async def to_merge(session: Session, event: StoredEvent) -> str | None:
    """The merge that an event told of, when it is still to be done."""
    if event.type != MERGED:
        return None
    absorbed = merge_of(event.payload.get("data")).lms_user_id
    found = await session.execute(
        text(
            "SELECT m.id FROM person_merge m JOIN commerce_user u ON u.id = m.user_id "
            "WHERE u.lms_user_id = :id AND m.lms_event_id = :event_id AND m.done_at IS NULL"
        ),
        {"id": absorbed, "event_id": str(event.payload["id"])},
    )
    row = found.one_or_none()
    return None if row is None else str(row.id)


async def current_lms_user(session: Session, data: Any) -> str:
    """The LMS's id of whom an event is about; of an account that ended in a merge, the one that goes on.
    Raises InvalidInput."""
    named = person_of(data)
    found = await session.execute(
        text(
            "SELECT b.lms_user_id FROM commerce_user a JOIN commerce_user b ON b.id = a.merged_into "
            "WHERE a.lms_user_id = :id"
        ),
        {"id": named},
    )
    row = found.one_or_none()
    return named if row is None else str(row.lms_user_id)


async def get(session: Session, merge_id: str) -> MergeRow | None:
    """One merge."""
    row = (
        await session.execute(text("SELECT * FROM person_merge WHERE id = :id"), {"id": merge_id})
    ).one_or_none()
    return None if row is None else _merge(row)


@dataclass(frozen=True, slots=True)
class Taken:
    """A merge whose persons nobody else moves, erases or lets buy until the commit: `absorbed`, whose account
    ended, and `survivor`, whom the LMS merged into or whom that one was merged into since."""

    row: MergeRow
    absorbed: UserRow
    survivor: UserRow


async def take(session: Session, merge_id: str) -> Taken | None:
    """A merge that is not done yet, with both persons locked; None when there is nothing to do.

    A survivor who was never here begins with what is known of the other: they are the same person. Whom the
    survivor was merged into is read again under the lock, until the locks are those of all whom it concerns:
    another merge, which this one waited for, may have moved them on.
    """
    row = await get(session, merge_id)
    if row is None or row.done_at is not None:
        return None
    await session.execute(
        text(
            "INSERT INTO commerce_user (lms_user_id, username, email, full_name, roles, erased_at) "
            "SELECT :into, username, email, full_name, '{}', erased_at FROM commerce_user WHERE id = :id "
            "ON CONFLICT DO NOTHING"
        ),
        {"into": row.into_lms_user_id, "id": row.user_id},
    )
    locked: set[str] = set()
    while True:
        survivor_id, concerned = await _concerned_by(session, row)
        if concerned == locked:
            break
        await people.lock(session, sorted(concerned))
        locked = concerned
    row = await get(session, merge_id)
    absorbed = None if row is None else await people.get(session, row.user_id)
    survivor = await people.get(session, survivor_id)
    assert row is not None
    assert absorbed is not None
    assert survivor is not None
    return None if row.done_at is not None else Taken(row, absorbed, survivor)


async def _concerned_by(session: Session, row: MergeRow) -> tuple[str, set[str]]:
    """Who goes on, and everybody whose row says so."""
    found = await session.execute(
        text("SELECT id, merged_into FROM commerce_user WHERE lms_user_id = :into"),
        {"into": row.into_lms_user_id},
    )
    named = found.one()
    survivor = str(named.id if named.merged_into is None else named.merged_into)
    concerned = {row.user_id, str(named.id), survivor}
    # Of two that were merged into each other, the last word counts.
    return (str(named.id) if survivor == row.user_id else survivor), concerned


# Two merges that have an account in common, in the order in which the LMS told of them.
_RELATED = (
    "FROM person_merge earlier JOIN commerce_user eu ON eu.id = earlier.user_id "
    "JOIN person_merge later ON later.id > earlier.id JOIN commerce_user lu ON lu.id = later.user_id "
    "AND (eu.lms_user_id IN (lu.lms_user_id, later.into_lms_user_id) "
    "OR earlier.into_lms_user_id IN (lu.lms_user_id, later.into_lms_user_id)) "
)
# Orders would be torn apart: an order reserves the credit of the account that it was placed by. And the last
# word of the LMS counts, so an earlier one comes first.
_STANDS_AGAINST = (
    "SELECT 'order ' || o.number || ' may still be paid' FROM orders o "
    "WHERE o.user_id = :user AND o.payment_state IN ('pending', 'processing') UNION ALL "
    "SELECT 'an earlier merge of user ' || eu.lms_user_id || ' into ' || earlier.into_lms_user_id "
    + _RELATED
    + "WHERE later.id = :merge AND earlier.moved_at IS NULL AND earlier.done_at IS NULL ORDER BY 1"
)


async def stands_against(session: Session, row: MergeRow) -> list[str]:
    """Why an account's orders can't be moved yet, in words."""
    found = await session.execute(text(_STANDS_AGAINST), {"user": row.user_id, "merge": row.id})
    return list(found.scalars())


_ACCESS = (
    "INSERT INTO entitlement AS s (user_id, lms_course_id, status, granted_at) "
    "SELECT :survivor, e.lms_course_id, 'pending', e.granted_at FROM entitlement e "
    "WHERE e.user_id = :absorbed AND EXISTS (SELECT FROM justification j WHERE j.entitlement_id = e.id) "
    "ON CONFLICT (user_id, lms_course_id) DO UPDATE "
    "SET granted_at = least(s.granted_at, excluded.granted_at)"
)
# What the LMS refused the other account is asked anew.
_ASK_ANEW = (
    "UPDATE entitlement s SET status = 'pending', failure_code = NULL, failure_detail = NULL, "
    "failed_action = NULL, changed_at = now(), version = s.version + 1 FROM entitlement a "
    "WHERE s.user_id = :survivor AND a.user_id = :absorbed AND a.lms_course_id = s.lms_course_id "
    "AND s.status = 'failed' "
    "AND EXISTS (SELECT FROM justification j WHERE j.entitlement_id = a.id AND j.active)"
)
_JUSTIFICATIONS = (
    "UPDATE justification j SET entitlement_id = s.id FROM entitlement a JOIN entitlement s "
    "ON s.lms_course_id = a.lms_course_id AND s.user_id = :survivor "
    "WHERE a.user_id = :absorbed AND j.entitlement_id = a.id"
)
# Not the transaction's time: an order that this merge waited for stood when it was moved.
_TIMELINES = (
    "INSERT INTO order_event (order_id, event_key, kind, detail, at) "
    "SELECT id, :key, 'person_merged', :detail, clock_timestamp() FROM orders WHERE user_id = :absorbed "
    "ON CONFLICT DO NOTHING"
)
_COMPLETIONS = "UPDATE completion SET lms_user_id = :into WHERE lms_user_id = :ended"
_REVOCATIONS = "UPDATE completion_revocation SET lms_user_id = :into WHERE lms_user_id = :ended"
# In this order: whose an order is, is read until the orders themselves move.
_STEPS = (
    _ASK_ANEW,
    _ACCESS,
    _JUSTIFICATIONS,
    _TIMELINES,
    "UPDATE orders SET user_id = :survivor WHERE user_id = :absorbed",
    "UPDATE promotion_use SET user_id = :survivor WHERE user_id = :absorbed",
    _COMPLETIONS,
    _REVOCATIONS,
    # Earlier merges into the one that ends lead on.
    "UPDATE person_merge SET into_user_id = :survivor "
    "WHERE into_user_id = :absorbed AND user_id <> :survivor",
    "UPDATE commerce_user SET merged_into = :survivor "
    "WHERE id <> :survivor AND (id = :absorbed OR merged_into = :absorbed)",
    "UPDATE commerce_user SET merged_into = NULL WHERE id = :survivor",
    "UPDATE commerce_user SET given_roles = '{}', lms_deleted_at = coalesce(lms_deleted_at, now()) "
    "WHERE id = :absorbed",
    # Also of a sign-in that the event crossed.
    "UPDATE refresh_token SET revoked = true WHERE user_id = :absorbed",
)


async def move(session: Session, taken: Taken) -> None:
    """Make everything of the account that ended the survivor's, in this transaction; again is harmless, and
    takes what came since. The ledger stays as it is. A role that an operator gave ends."""
    absorbed, survivor = taken.absorbed, taken.survivor
    values = {
        "absorbed": absorbed.id,
        "survivor": survivor.id,
        "ended": absorbed.lms_user_id,
        "into": survivor.lms_user_id,
        "key": _timeline_key(taken.row.id),
        "detail": f"The LMS merged user {absorbed.lms_user_id} into {survivor.lms_user_id}, who has it now.",
    }
    for statement in _STEPS:
        await _run(session, statement, values)


async def _run(session: Session, statement: str, values: dict[str, str]) -> None:
    named = {name: value for name, value in values.items() if f":{name}" in statement}
    ids = [bindparam(name, type_=Uuid(as_uuid=False)) for name in ("absorbed", "survivor") if name in named]
    await session.execute(text(statement).bindparams(*ids), named)


def _timeline_key(merge_id: str) -> str:
    return f"merge/{merge_id}"


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom a merge concerns, by what stands in the database: courses of either user, lines that were moved,
    open questions about what was bought twice, later merges that may have waited for it."""

    courses: list[str]
    line_ids: list[str]
    question_ids: list[str]
    merge_ids: list[str]


async def concerned(session: Session, merge: MergeRow) -> Concerned:
    """Whom to tell, also when it was told before."""

    async def found(statement: str, value: str | None) -> list[str]:
        return [str(one) for one in (await session.execute(text(statement), {"given": value})).scalars()]

    return Concerned(
        await found("SELECT lms_course_id FROM entitlement WHERE user_id = :given ORDER BY 1", merge.user_id),
        await found(
            "SELECT l.id FROM order_line l JOIN order_event t ON t.order_id = l.order_id "
            "WHERE t.event_key = :given ORDER BY 1",
            _timeline_key(merge.id),
        ),
        await found(
            "SELECT q.id FROM resolution q JOIN order_line l ON l.id = q.line_id "
            "JOIN orders o ON o.id = l.order_id WHERE o.user_id = :given AND q.cause = 'bought_twice' "
            "AND q.state = 'open' ORDER BY 1",
            merge.into_user_id,
        ),
        await found(
            f"SELECT later.id {_RELATED} WHERE earlier.id = CAST(:given AS uuid) "
            "AND later.moved_at IS NULL AND later.done_at IS NULL ORDER BY 1",
            merge.id,
        ),
    )


async def set_waits(session: Session, merge_id: str, waits_for: list[str]) -> None:
    """Remember what is waited for."""
    await session.execute(
        text("UPDATE person_merge SET waits_for = :waits WHERE id = :id"),
        {"id": merge_id, "waits": waits_for},
    )


async def set_moved(session: Session, merge_id: str, into_user_id: str) -> MergeRow:
    """All was moved, now or before."""
    row = await session.execute(
        text(
            "UPDATE person_merge SET waits_for = '{}', moved_at = coalesce(moved_at, now()), "
            "into_user_id = :into WHERE id = :id RETURNING *"
        ),
        {"id": merge_id, "into": into_user_id},
    )
    return _merge(row.one())


async def set_done(session: Session, merge_id: str) -> None:
    """Nothing more can come in with a token of the account that ended."""
    await session.execute(text("UPDATE person_merge SET done_at = now() WHERE id = :id"), {"id": merge_id})
