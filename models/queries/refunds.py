"""Refunds and their lines."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from domain.orders import RefundKind, RefundStatus
from models.database import Session


@dataclass(frozen=True, slots=True)
class RefundRow:
    """One refund; amounts in minor units. `credit_amount` of it is given back as store credit.

    `payment_failed`: the bank returned its payment after all, so there is no money to send back.
    """

    id: str
    order_id: str
    user_id: str
    payment_id: str | None
    intent_id: str | None
    payment_failed: bool
    kind: RefundKind
    amount: int
    credit_amount: int
    currency: str
    status: RefundStatus
    reason: str
    keep_access: bool
    issue_attempts: int
    provider_refund_id: str | None
    failure_reason: str | None
    created_at: datetime
    settled_at: datetime | None
    canceled_at: datetime | None
    wish: str | None

    @property
    def attempt(self) -> int:
        """The business attempt that it is in, from 1."""
        return max(self.issue_attempts, 1)

    @property
    def shown_status(self) -> str:
        """For people: a failed refund that was given up is canceled."""
        return "canceled" if self.canceled_at is not None else self.status.value

    @property
    def card_amount(self) -> int:
        """What the processor is to send back."""
        return self.amount - self.credit_amount


def check_failed(refund: RefundRow) -> None:
    """Raises Conflict unless the refund failed and is still owed."""
    if refund.status is not RefundStatus.FAILED or refund.canceled_at is not None:
        raise Conflict(f"the refund is {refund.shown_status}", code="refund_not_failed")


def check_cancelable(refund: RefundRow) -> None:
    """Raises Conflict when canceling would leave somebody with money that is not theirs."""
    if refund.payment_failed:
        return
    if not refund.kind.takes_from_lines:
        raise Conflict("money that pays for nothing can only be sent back", code="refund_not_cancelable")
    if refund.credit_amount and refund.settled_at is not None:
        raise Conflict("its store credit was given back already", code="refund_not_cancelable")


# Promised and not sent: under way, or failed and neither issued again nor canceled.
OPEN_SQL = "(r.status = 'pending' OR (r.status = 'failed' AND r.canceled_at IS NULL))"

# What an operator may wish for a failed refund.
WISH_REISSUE = "reissue"
WISH_CANCEL = "cancel"

_SELECT = (
    "SELECT r.*, o.user_id, p.intent_id, coalesce(p.status = 'failed', false) AS payment_failed "
    "FROM refund r JOIN orders o ON o.id = r.order_id "
    "LEFT JOIN payment p ON p.id = r.payment_id "
)


def _refund(row: Row[Any]) -> RefundRow:
    return RefundRow(
        id=str(row.id),
        order_id=str(row.order_id),
        user_id=str(row.user_id),
        payment_id=None if row.payment_id is None else str(row.payment_id),
        intent_id=row.intent_id,
        payment_failed=row.payment_failed,
        kind=RefundKind(row.kind),
        amount=row.amount,
        credit_amount=row.credit_amount,
        currency=row.currency,
        status=RefundStatus(row.status),
        reason=row.reason,
        keep_access=row.keep_access,
        issue_attempts=row.issue_attempts,
        provider_refund_id=row.provider_refund_id,
        failure_reason=row.failure_reason,
        created_at=row.created_at,
        settled_at=row.settled_at,
        canceled_at=row.canceled_at,
        wish=row.wish,
    )


async def get(session: Session, refund_id: str, *, lock: bool = False) -> RefundRow | None:
    """One refund."""
    suffix = " FOR UPDATE OF r" if lock else ""
    row = (
        await session.execute(text(_SELECT + "WHERE r.id = :id" + suffix), {"id": refund_id})
    ).one_or_none()
    return None if row is None else _refund(row)


async def of_order(session: Session, order_id: str) -> list[RefundRow]:
    """All refunds of an order, oldest first."""
    rows = await session.execute(
        text(_SELECT + "WHERE r.order_id = :id ORDER BY r.created_at, r.id"), {"id": order_id}
    )
    return [_refund(row) for row in rows]


async def insert(
    session: Session,
    *,
    refund_id: str,
    order_id: str,
    payment_id: str | None,
    kind: RefundKind,
    amount: int,
    currency: str,
    reason: str,
    keep_access: bool,
    requested_by: str | None,
    lines: dict[str, int],
    credit_amount: int = 0,
) -> None:
    """Reserve a refund: `lines` maps each order line to the gross amount taken from it."""
    await session.execute(
        text(
            "INSERT INTO refund (id, order_id, payment_id, kind, amount, credit_amount, currency, status, "
            "reason, keep_access, requested_by) VALUES (:id, :order_id, CAST(:payment_id AS uuid), :kind, "
            ":amount, :credit_amount, :currency, 'pending', :reason, :keep_access, "
            "CAST(:requested_by AS uuid))"
        ),
        {
            "id": refund_id,
            "order_id": order_id,
            "payment_id": payment_id,
            "kind": kind,
            "amount": amount,
            "credit_amount": credit_amount,
            "currency": currency,
            "reason": reason,
            "keep_access": keep_access,
            "requested_by": requested_by,
        },
    )
    for line_id, gross in lines.items():
        await session.execute(
            text("INSERT INTO refund_line (refund_id, line_id, gross) VALUES (:refund, :line, :gross)"),
            {"refund": refund_id, "line": line_id, "gross": gross},
        )


async def of_provider(session: Session, provider_refund_id: str) -> RefundRow | None:
    """The refund that the processor knows by this id."""
    row = (
        await session.execute(text(_SELECT + "WHERE r.provider_refund_id = :id"), {"id": provider_refund_id})
    ).one_or_none()
    return None if row is None else _refund(row)


async def page(
    session: Session, *, status: RefundStatus | None, before: str | None, limit: int
) -> list[RefundRow]:
    """All refunds, newest first (keyset)."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE (CAST(:status AS text) IS NULL OR r.status = :status) "
            "AND (CAST(:before AS uuid) IS NULL OR r.id < CAST(:before AS uuid)) "
            "ORDER BY r.id DESC LIMIT :limit"
        ),
        {"status": status, "before": before, "limit": limit},
    )
    return [_refund(row) for row in rows]


async def wish(session: Session, refund_id: str, what: str) -> None:
    """Keep what an operator wishes for a failed refund, until its workflow has done it."""
    await session.execute(
        text("UPDATE refund SET wish = :what WHERE id = :id"), {"id": refund_id, "what": what}
    )


async def begin_attempt(session: Session, refund_id: str, attempt: int) -> None:
    """Another business attempt at a failed refund: the processor does not know it yet."""
    await session.execute(
        text(
            "UPDATE refund SET status = 'pending', issue_attempts = :attempt, provider_refund_id = NULL, "
            "failure_reason = NULL, wish = NULL WHERE id = :id"
        ),
        {"id": refund_id, "attempt": attempt},
    )


async def set_canceled(session: Session, refund_id: str) -> None:
    """A failed refund was given up for good."""
    await session.execute(
        text("UPDATE refund SET canceled_at = now(), wish = NULL WHERE id = :id"), {"id": refund_id}
    )


async def refused_of_payment(session: Session, payment_id: str, card_amount: int) -> RefundRow | None:
    """A failed refund of this payment that still is to send back exactly this much."""
    row = (
        await session.execute(
            text(
                _SELECT + "WHERE r.payment_id = :payment_id AND r.status = 'failed' "
                "AND r.canceled_at IS NULL AND r.amount - r.credit_amount = :amount "
                "ORDER BY r.id LIMIT 1"
            ),
            {"payment_id": payment_id, "amount": card_amount},
        )
    ).one_or_none()
    return None if row is None else _refund(row)


async def adopt(session: Session, refund_id: str, attempt: int, provider_refund_id: str) -> bool:
    """Let a failed refund take the processor's refund as its next attempt; False when it no longer can."""
    done = await session.execute(
        text(
            "UPDATE refund SET status = 'pending', issue_attempts = :attempt, failure_reason = NULL, "
            "wish = NULL, provider_refund_id = :provider "
            "WHERE id = :id AND status = 'failed' AND canceled_at IS NULL RETURNING id"
        ),
        {"id": refund_id, "attempt": attempt, "provider": provider_refund_id},
    )
    return done.one_or_none() is not None


async def of_unapplied_payment_open(session: Session, intent_id: str) -> bool:
    """Whether money of this intent, which no order took, is being sent back by us."""
    return bool(
        (
            await session.execute(
                text(
                    "SELECT EXISTS (SELECT FROM refund r JOIN payment p ON p.id = r.payment_id "
                    "WHERE p.intent_id = :intent AND r.kind = 'unapplied' AND r.canceled_at IS NULL)"
                ),
                {"intent": intent_id},
            )
        ).scalar_one()
    )


async def count_issue(session: Session, refund_id: str, attempt: int) -> None:
    """A business attempt to issue the refund, counted before the processor is asked."""
    await session.execute(
        text("UPDATE refund SET issue_attempts = greatest(issue_attempts, :attempt) WHERE id = :id"),
        {"id": refund_id, "attempt": attempt},
    )


async def set_provider_id(session: Session, refund_id: str, provider_refund_id: str) -> None:
    """The processor's id of the refund."""
    await session.execute(
        text("UPDATE refund SET provider_refund_id = :provider WHERE id = :id"),
        {"id": refund_id, "provider": provider_refund_id},
    )


async def set_status(
    session: Session, refund_id: str, status: RefundStatus, failure_reason: str | None = None
) -> None:
    """Follow the processor."""
    await session.execute(
        text(
            "UPDATE refund SET status = CAST(:status AS varchar), failure_reason = :reason, "
            "settled_at = CASE WHEN CAST(:status AS varchar) = 'succeeded' THEN now() ELSE settled_at END "
            "WHERE id = :id"
        ),
        {"id": refund_id, "status": status, "reason": failure_reason},
    )


async def line_ids(session: Session, refund_id: str) -> list[str]:
    """The order lines that the refund takes from."""
    rows = await session.execute(
        text("SELECT line_id FROM refund_line WHERE refund_id = :id ORDER BY line_id"), {"id": refund_id}
    )
    return [str(row.line_id) for row in rows]


async def of_unapplied(session: Session, payment_id: str) -> str | None:
    """The refund of a payment that its order could not take."""
    found = (
        await session.execute(
            text("SELECT id FROM refund WHERE payment_id = :id AND kind = 'unapplied'"), {"id": payment_id}
        )
    ).scalar_one_or_none()
    return None if found is None else str(found)


async def lines_of_open(session: Session, order_id: str, *, apart_from: str) -> set[str]:
    """Lines from which another refund takes something that it has not sent yet."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT l.line_id FROM refund_line l JOIN refund r ON r.id = l.refund_id "
            f"WHERE r.order_id = :order_id AND r.id <> :id AND {OPEN_SQL}"
        ),
        {"order_id": order_id, "id": apart_from},
    )
    return {str(row.line_id) for row in rows}


async def lines_of(session: Session, refund_id: str) -> dict[str, int]:
    """Gross minor units that the refund takes from each line."""
    rows = await session.execute(
        text("SELECT line_id, gross FROM refund_line WHERE refund_id = :id"), {"id": refund_id}
    )
    return {str(row.line_id): int(row.gross) for row in rows}


@dataclass(frozen=True, slots=True)
class ParkedRefund:
    """A refund made at the processor `created` seconds after the epoch, which no row stands for yet."""

    provider_id: str
    created: int


# Told of by an event, not one of ours, not failed since, and not taken in.
_PARKED = """
    SELECT DISTINCT e.payload#>>'{data,object,id}' AS provider_id,
        (e.payload#>>'{data,object,created}')::bigint AS created
    FROM inbound_event e WHERE e.source = 'stripe' AND e.type LIKE 'refund.%' AND e.purged_at IS NULL
        AND e.payload#>>'{data,object,metadata,refund_id}' IS NULL
        AND NOT EXISTS (SELECT FROM refund r WHERE r.provider_refund_id = e.payload#>>'{data,object,id}')
        AND NOT EXISTS (SELECT FROM inbound_event later WHERE later.order_id = e.order_id
            AND later.type LIKE 'refund.%'
            AND later.payload#>>'{data,object,id}' = e.payload#>>'{data,object,id}'
            AND later.payload#>>'{data,object,status}' IN ('failed', 'canceled'))
"""


async def parked(session: Session, order_id: str) -> list[ParkedRefund]:
    """Those of an order that wait to be taken in."""
    rows = await session.execute(text(_PARKED + "AND e.order_id = :id ORDER BY 2, 1"), {"id": order_id})
    return [ParkedRefund(row.provider_id, row.created) for row in rows]


async def all_parked(session: Session, *, settled_seconds: int) -> list[ParkedRefund]:
    """Those of all orders, told of at least so long ago."""
    rows = await session.execute(
        text(
            _PARKED + "AND e.order_id IS NOT NULL AND e.dispatched_at IS NOT NULL "
            "AND e.received_at < now() - make_interval(secs => :seconds) ORDER BY 2, 1"
        ),
        {"seconds": settled_seconds},
    )
    return [ParkedRefund(row.provider_id, row.created) for row in rows]
