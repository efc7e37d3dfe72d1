"""A learner's own refund: whole lines, within the item's window, and before much of the course was used."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from api.dependencies import Services
from api.schemas.refunds import RefundBody
from domain.errors import Conflict, ExternalError, Forbidden
from domain.orders import PaymentState
from models.database import Session
from models.queries import order_lines
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow

log = logging.getLogger(__name__)

# The learner waits for the answer; an LMS that takes longer counts as down.
_LMS_PATIENCE_SECONDS = 3


async def check_learners_right(
    services: Services, session: Session, row: OrderRow, body: RefundBody
) -> str | None:
    """Raises Forbidden for what only an operator may ask, Conflict `not_paid` or `refund_window_closed`.

    The window is the learner's right, progress only its limit: while the LMS does not say, the refund goes
    on. Returns a remark for the timeline then.
    """
    if body.amount is not None or any(line.amount is not None for line in body.lines or []):
        raise Forbidden("a learner refunds whole lines; an operator can refund an amount")
    if body.keep_access:
        raise Forbidden("only an operator may leave the access")
    if row.payment_state is not PaymentState.PAID or row.paid_at is None:
        raise Conflict("nothing was paid", code="not_paid")
    wanted = {line.line_id for line in body.lines or []}
    lines = [line for line in await order_lines.of_order(session, row.id) if not wanted or line.id in wanted]
    for line in lines:
        if datetime.now(UTC) > row.paid_at + timedelta(days=line.refund_window_days):
            raise Conflict(
                f"the refund window of {line.refund_window_days} days has closed", code="refund_window_closed"
            )
    return await _check_progress(services, row, lines)


async def _check_progress(services: Services, row: OrderRow, lines: Sequence[LineRow]) -> str | None:
    most = services.refund_max_progress_percent
    if most >= 100:
        return None
    found = await asyncio.gather(*(_progress(services, row, line) for line in lines))
    for line, progress in zip(lines, found, strict=True):
        if progress is not None and progress * 100 > most:
            raise Conflict(
                f"more than {most} % of {line.title} is done: its refund window has closed",
                code="refund_window_closed",
            )
    return "the LMS did not tell the progress" if None in found else None


async def _progress(services: Services, row: OrderRow, line: LineRow) -> float | None:
    """From 0 to 1, 0 for somebody who is not enrolled; None when the LMS does not say."""
    try:
        async with asyncio.timeout(_LMS_PATIENCE_SECONDS):
            return await services.lms.progress(row.lms_user_id, line.lms_course_id) or 0.0
    except (ExternalError, TimeoutError) as error:
        log.warning("no progress of line %s: %s", line.id, type(error).__name__)
        return None
