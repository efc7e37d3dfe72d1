"""Rows of the database as the API shows them."""

from collections.abc import Callable

from api.schemas.orders import EntitlementView, OrderLine, OrderView, PaymentSummary, money
from api.schemas.refunds import RefundSummary
from api.schemas.resolutions import ResolutionSummary
from domain.access import reason_in_words
from domain.ids import order_workflow_id
from domain.orders import EntitlementStatus
from domain.resolutions import ResolutionChoice, default_of
from models.queries.entitlements import EntitlementRow
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.payments import PaymentRow
from models.queries.refunds import RefundRow
from models.queries.resolutions import ResolutionRow


def payment_view(row: PaymentRow) -> PaymentSummary:
    """One payment intent."""
    return PaymentSummary(
        id=row.id,
        order_id=row.order_id,
        payment_intent_id=row.intent_id,
        status=row.status,
        amount=money(row.amount, row.currency),
        failure_code=row.failure_code,
        failure_message=row.failure_message,
        created_at=row.created_at,
        succeeded_at=row.succeeded_at,
    )


def refund_view(row: RefundRow) -> RefundSummary:
    """One refund."""
    return RefundSummary(
        id=row.id,
        order_id=row.order_id,
        kind=row.kind.value,
        status=row.status.value,
        canceled=row.canceled_at is not None,
        attempts=row.issue_attempts,
        amount=money(row.amount, row.currency),
        store_credit=money(row.credit_amount, row.currency),
        reason=row.reason,
        keep_access=row.keep_access,
        failure_reason=row.failure_reason,
        created_at=row.created_at,
        settled_at=row.settled_at,
    )


def entitlement_view(row: EntitlementRow, course_url: Callable[[str], str]) -> EntitlementView:
    """One access; the deep link only when access is there."""
    granted = row.status is EntitlementStatus.GRANTED
    return EntitlementView(
        id=row.id,
        user_id=row.user_id,
        lms_course_id=row.lms_course_id,
        status=row.status.value,
        deep_link=course_url(row.lms_course_id) if granted else None,
        reason=reason_in_words(
            row.status,
            justified=row.justified,
            failed_action=row.failed_action,
            waits_for=row.waits_for,
            next_try_at=row.next_try_at,
        ),
        attempts=row.attempts,
        next_try_at=row.next_try_at,
        failure_detail=row.failure_detail,
        version=row.version,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def resolution_view(row: ResolutionRow) -> ResolutionSummary:
    """A question about a line, and its answer."""
    settled = row.choice in (ResolutionChoice.REFUND, ResolutionChoice.STORE_CREDIT)
    return ResolutionSummary(
        id=row.id,
        order_id=row.order_id,
        order_number=row.order_number,
        line_id=row.line_id,
        title=row.title,
        cause=row.cause.value,
        reason=row.reason,
        state=row.state.value,
        choices=[choice.value for choice in row.choices],
        default_choice=default_of(row.cause).value,
        asked_at=row.asked_at,
        deadline=row.deadline,
        choice=None if row.choice is None else row.choice.value,
        item_id=row.item_id,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        refund_id=row.id if settled and row.has_refund else None,
        run_change_id=row.run_change_id,
    )


def _line_view(row: LineRow, currency: str) -> OrderLine:
    return OrderLine(
        id=row.id,
        item_id=row.item_id,
        bundle_id=row.bundle_id,
        title=row.title,
        lms_course_id=row.lms_course_id,
        quantity=1,
        unit_price=money(row.unit_price, currency),
        discount=money(row.discount_net, currency),
        tax=money(row.tax, currency),
        total=money(row.gross, currency),
    )


def order_view(
    row: OrderRow,
    lines: list[LineRow],
    payments: list[PaymentRow],
    refunds: list[RefundRow],
    entitlements: list[EntitlementView],
    resolutions: list[ResolutionRow],
) -> OrderView:
    """An order with all that belongs to it."""
    currency = row.currency
    return OrderView(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        status=row.status,
        dispute=row.dispute_state.value,
        created_at=row.created_at,
        expires_at=row.expires_at,
        lines=[_line_view(line, currency) for line in lines],
        subtotal=money(row.subtotal, currency),
        discount=money(row.discount, currency),
        tax=money(row.tax, currency),
        total=money(row.total, currency),
        store_credit=money(row.store_credit, currency),
        amount_due=money(row.due, currency),
        amount_paid=money(row.amount_kept, currency),
        amount_refunded=money(row.amount_refunded, currency),
        promo_code=next(iter(row.promo_codes), None),
        promo_codes=list(row.promo_codes),
        channel=row.channel,
        affiliate=row.affiliate_code,
        payments=[payment_view(payment) for payment in payments],
        refunds=[refund_view(refund) for refund in refunds],
        entitlements=entitlements,
        resolutions=[resolution_view(resolution) for resolution in resolutions],
        workflow_id=order_workflow_id(row.id),
    )
