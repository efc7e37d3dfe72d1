"""Disputes and the dispute axis of orders."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session

INQUIRY, OPEN, WON, LOST, CLOSED = "inquiry", "open", "won", "lost", "closed"
# What an operator may wish for an open dispute.
WISH_SUBMIT, WISH_SUBMIT_IN_TIME, WISH_ACCEPT = "submit", "submit_before_deadline", "accept"


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """One dispute; amounts in minor units of `currency`."""

    id: str
    provider_id: str
    order_id: str
    order_number: str
    payment_id: str
    amount: int
    withdrawn: int
    currency: str
    reason: str
    status: str
    state: str
    evidence_due_by: datetime | None
    evidence: dict[str, Any] | None
    evidence_submitted_at: datetime | None
    reminded_at: datetime | None
    missed_at: datetime | None
    suspended_lines: list[str]
    wish: str | None
    created_at: datetime
    closed_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether it was decided."""
        return self.state in (WON, LOST, CLOSED)


_SELECT = "SELECT d.*, o.number AS order_number FROM dispute d JOIN orders o ON o.id = d.order_id "


def _dispute(row: Row[Any]) -> DisputeRow:
    return DisputeRow(
        id=str(row.id),
        provider_id=row.provider_id,
        order_id=str(row.order_id),
        order_number=row.order_number,
        payment_id=str(row.payment_id),
        amount=row.amount,
        withdrawn=row.withdrawn,
        currency=row.currency,
        reason=row.reason,
        status=row.status,
        state=row.state,
        evidence_due_by=row.evidence_due_by,
        evidence=row.evidence,
        evidence_submitted_at=row.evidence_submitted_at,
        reminded_at=row.reminded_at,
        missed_at=row.missed_at,
        suspended_lines=list(row.suspended_lines),
        wish=row.wish,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


async def by_provider(session: Session, provider_id: str) -> DisputeRow | None:
    """The dispute that the processor knows by this id."""
    row = (
        await session.execute(text(_SELECT + "WHERE d.provider_id = :id"), {"id": provider_id})
    ).one_or_none()
    return None if row is None else _dispute(row)


async def get(session: Session, dispute_id: str) -> DisputeRow | None:
    """One dispute."""
    row = (await session.execute(text(_SELECT + "WHERE d.id = :id"), {"id": dispute_id})).one_or_none()
    return None if row is None else _dispute(row)


async def of_order(session: Session, order_id: str) -> list[DisputeRow]:
    """All disputes of an order, oldest first."""
    rows = await session.execute(text(_SELECT + "WHERE d.order_id = :id ORDER BY d.id"), {"id": order_id})
    return [_dispute(row) for row in rows]


async def page(session: Session, *, state: str | None, before: str | None, limit: int) -> list[DisputeRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE (CAST(:state AS text) IS NULL OR d.state = :state) "
            "AND (CAST(:before AS uuid) IS NULL OR d.id < CAST(:before AS uuid)) "
            "ORDER BY d.id DESC LIMIT :limit"
        ),
        {"state": state, "before": before, "limit": limit},
    )
    return [_dispute(row) for row in rows]


async def see(
    session: Session,
    *,
    provider_id: str,
    order_id: str,
    payment_id: str,
    amount: int,
    currency: str,
    reason: str,
    status: str,
    evidence_due_by: datetime | None,
) -> None:
    """Keep how the processor shows the dispute; a new one begins as an inquiry, which moved no money."""
    await session.execute(
        text(
            "INSERT INTO dispute (provider_id, order_id, payment_id, amount, currency, reason, status, "
            "state, evidence_due_by, suspended_lines) VALUES (:provider_id, :order_id, :payment_id, :amount, "
            ":currency, :reason, :status, 'inquiry', :due_by, '[]') ON CONFLICT (provider_id) DO UPDATE SET "
            "amount = excluded.amount, status = excluded.status, reason = excluded.reason, "
            "evidence_due_by = excluded.evidence_due_by"
        ),
        {
            "provider_id": provider_id,
            "order_id": order_id,
            "payment_id": payment_id,
            "amount": amount,
            "currency": currency,
            "reason": reason,
            "status": status,
            "due_by": evidence_due_by,
        },
    )


async def set_state(session: Session, dispute_id: str, state: str) -> None:
    """Move the dispute; a decided one is closed now, and what was wished for it is void."""
    await session.execute(
        text(
            "UPDATE dispute SET state = CAST(:state AS varchar), closed_at = CASE WHEN "
            "CAST(:state AS varchar) IN ('won', 'lost', 'closed') THEN now() ELSE closed_at END, "
            "wish = CASE WHEN CAST(:state AS varchar) IN ('won', 'lost', 'closed') THEN NULL ELSE wish END "
            "WHERE id = :id"
        ),
        {"id": dispute_id, "state": state},
    )


async def set_withdrawn(session: Session, dispute_id: str, amount: int, lines: list[str]) -> None:
    """The bank took this much; these lines lost their access."""
    await session.execute(
        text(
            "UPDATE dispute SET withdrawn = :amount, suspended_lines = CAST(:lines AS jsonb) WHERE id = :id"
        ),
        {"id": dispute_id, "amount": amount, "lines": json.dumps(lines)},
    )


async def set_order_axis(session: Session, order_id: str) -> None:
    """The order is disputed while one of its disputes is open; else the last decision stands."""
    await session.execute(
        text(
            "UPDATE orders SET dispute_state = CASE "
            "WHEN EXISTS (SELECT FROM dispute WHERE order_id = :id AND state = 'open') THEN 'open' "
            "ELSE coalesce((SELECT state FROM dispute WHERE order_id = :id AND state IN ('won', 'lost') "
            "ORDER BY closed_at DESC LIMIT 1), 'none') END WHERE id = :id"
        ),
        {"id": order_id},
    )


async def is_disputed(session: Session, order_id: str) -> bool:
    """Whether one of the order's disputes is open."""
    found = await session.execute(
        text("SELECT EXISTS (SELECT FROM dispute WHERE order_id = :id AND state = 'open')"), {"id": order_id}
    )
    return bool(found.scalar_one())


async def suspended_lines(session: Session, order_id: str) -> list[str]:
    """Lines whose access any dispute of the order suspended."""
    found = await session.execute(
        text(
            "SELECT DISTINCT line_id FROM dispute d, jsonb_array_elements_text(d.suspended_lines) line_id "
            "WHERE d.order_id = :id ORDER BY 1"
        ),
        {"id": order_id},
    )
    return [str(line_id) for line_id in found.scalars()]


async def states(session: Session) -> dict[str, str]:
    """Our state of each dispute, by the processor's id."""
    rows = await session.execute(text("SELECT provider_id, state FROM dispute ORDER BY id"))
    return {row.provider_id: row.state for row in rows}


async def keep_evidence(session: Session, dispute_id: str, evidence: dict[str, Any]) -> None:
    """Keep the evidence pack, as the processor's fields."""
    await session.execute(
        text("UPDATE dispute SET evidence = CAST(:evidence AS jsonb) WHERE id = :id"),
        {"id": dispute_id, "evidence": json.dumps(evidence)},
    )


async def wish(session: Session, dispute_id: str, what: str) -> None:
    """Keep what an operator wishes, until the workflow has done it."""
    await session.execute(
        text("UPDATE dispute SET wish = :what WHERE id = :id"), {"id": dispute_id, "what": what}
    )


async def end_wish(session: Session, dispute_id: str, *, submitted: bool) -> None:
    """What an operator wished is done with; `submitted`: the evidence went to the bank."""
    await session.execute(
        text(
            "UPDATE dispute SET wish = NULL, evidence_submitted_at = "
            "CASE WHEN :submitted THEN now() ELSE evidence_submitted_at END WHERE id = :id"
        ),
        {"id": dispute_id, "submitted": submitted},
    )


async def set_reminded(session: Session, dispute_id: str) -> None:
    """Operators were reminded of the deadline."""
    await session.execute(text("UPDATE dispute SET reminded_at = now() WHERE id = :id"), {"id": dispute_id})


async def set_missed(session: Session, dispute_id: str) -> None:
    """The deadline passed, and nothing was sent."""
    await session.execute(text("UPDATE dispute SET missed_at = now() WHERE id = :id"), {"id": dispute_id})


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """What is known of the customer, and of the access to each course."""

    email: str | None
    full_name: str
    registered_at: datetime
    accesses: list[tuple[str, str, datetime]]


async def evidence_facts(session: Session, order_id: str) -> EvidenceFacts:
    """The customer of an order, and course, status and time of each access that it paid for."""
    person = (
        await session.execute(
            text(
                "SELECT u.email, u.full_name, u.created_at FROM orders o "
                "JOIN commerce_user u ON u.id = o.user_id WHERE o.id = :id"
            ),
            {"id": order_id},
        )
    ).one()
    rows = await session.execute(
        text(
            "SELECT DISTINCT e.lms_course_id, e.status, e.changed_at FROM entitlement e "
            "JOIN justification j ON j.entitlement_id = e.id JOIN order_line l ON l.id = j.line_id "
            "WHERE l.order_id = :id ORDER BY 1"
        ),
        {"id": order_id},
    )
    return EvidenceFacts(
        person.email,
        person.full_name,
        person.created_at,
        [(row.lms_course_id, row.status, row.changed_at) for row in rows],
    )
