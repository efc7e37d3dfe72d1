"""Everything that is held of one person, by kind, in the database's own words."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from domain.ids import instructor_payee
from models.database import Session
from models.queries import earnings

# Each gives rows as JSON, oldest first; `:user` is the person, `:lms_user` their id at the LMS.
_SECTIONS: dict[str, str] = {
    "orders": (
        "SELECT jsonb_build_object('id', o.id, 'number', o.number, 'created_at', o.created_at, "
        "'paid_at', o.paid_at, 'currency', o.currency, 'subtotal', o.subtotal, 'discount', o.discount, "
        "'tax', o.tax, 'total', o.total, 'store_credit', o.store_credit, 'amount_paid', o.amount_paid, "
        "'payment', o.payment_state, 'fulfilment', o.fulfilment_state, 'dispute', o.dispute_state, "
        "'promo_codes', o.promo_codes, 'billing_address', o.billing_address, 'locale', o.locale, "
        "'return_url', o.return_url, 'taxation', o.taxation, 'channel', o.channel, 'lines', "
        "(SELECT jsonb_agg(jsonb_build_object('title', l.title, 'course', l.lms_course_id, 'list_net', "
        "l.list_net, 'gross', l.gross, 'completed_at', c.completed_at) ORDER BY l.ordinal) "
        "FROM order_line l LEFT JOIN completion c ON c.lms_user_id = :lms_user "
        "AND c.lms_course_id = l.lms_course_id WHERE l.order_id = o.id), 'timeline', "
        "(SELECT jsonb_agg(jsonb_build_object('at', e.at, 'kind', e.kind, 'detail', e.detail) ORDER BY e.id) "
        "FROM order_event e WHERE e.order_id = o.id)) "
        "FROM orders o WHERE o.user_id = CAST(:user AS uuid) ORDER BY o.id"
    ),
    "payments": (
        "SELECT jsonb_build_object('order_id', p.order_id, 'payment_intent_id', p.intent_id, "
        "'status', p.status, 'amount', p.amount, 'currency', p.currency, 'created_at', p.created_at, "
        "'succeeded_at', p.succeeded_at) FROM payment p JOIN orders o ON o.id = p.order_id "
        "WHERE o.user_id = CAST(:user AS uuid) ORDER BY p.id"
    ),
    "refunds": (
        "SELECT jsonb_build_object('id', r.id, 'order_id', r.order_id, 'status', r.status, "
        "'amount', r.amount, 'reason', r.reason, 'credit_amount', r.credit_amount, "
        "'currency', r.currency, 'created_at', r.created_at) "
        "FROM refund r JOIN orders o ON o.id = r.order_id "
        "WHERE o.user_id = CAST(:user AS uuid) ORDER BY r.id"
    ),
    "disputes": (
        "SELECT jsonb_build_object('order_id', d.order_id, 'state', d.state, 'reason', d.reason, "
        "'amount', d.amount, 'currency', d.currency, 'evidence', d.evidence, 'created_at', d.created_at, "
        "'closed_at', d.closed_at) FROM dispute d JOIN orders o ON o.id = d.order_id "
        "WHERE o.user_id = CAST(:user AS uuid) ORDER BY d.id"
    ),
    "entitlements": (
        "SELECT jsonb_build_object('course', e.lms_course_id, 'status', e.status, "
        "'created_at', e.created_at, 'changed_at', e.changed_at) "
        "FROM entitlement e WHERE e.user_id = CAST(:user AS uuid) ORDER BY e.id"
    ),
    "completions": (
        "SELECT jsonb_build_object('course', c.lms_course_id, 'completed_at', c.completed_at) "
        "FROM completion c WHERE c.lms_user_id = :lms_user ORDER BY c.completed_at"
    ),
    "documents": (
        "SELECT jsonb_build_object('id', d.id, 'order_id', d.order_id, 'kind', d.kind, 'number', d.number, "
        "'issued_on', d.issued_on, 'content', d.body) FROM document d JOIN orders o ON o.id = d.order_id "
        "WHERE o.user_id = CAST(:user AS uuid) ORDER BY d.id"
    ),
    "carts": (
        "SELECT jsonb_build_object('open', c.open, 'created_at', c.created_at, 'promo_codes', c.promo_codes, "
        "'items', (SELECT jsonb_agg(i.title ORDER BY l.id) FROM cart_line l "
        "JOIN catalog_item i ON i.id = l.item_id WHERE l.cart_id = c.id)) "
        "FROM cart c WHERE c.user_id = CAST(:user AS uuid) ORDER BY c.id"
    ),
    "promotion_uses": (
        "SELECT jsonb_build_object('code', p.code, 'order_id', u.order_id, 'state', u.state) "
        "FROM promotion_use u JOIN promotion p ON p.id = u.promotion_id "
        "WHERE u.user_id = CAST(:user AS uuid) ORDER BY u.id"
    ),
    "store_credit": (
        "SELECT jsonb_build_object('amount', g.amount, 'currency', g.currency, 'reason', g.reason, "
        "'order_id', g.order_id, 'created_at', g.created_at) "
        "FROM store_credit_grant g WHERE g.user_id = CAST(:user AS uuid) ORDER BY g.id"
    ),
    "sign_ins": (
        "SELECT jsonb_build_object('at', t.created_at, 'until', t.expires_at, 'ended', t.revoked) "
        "FROM refresh_token t WHERE t.user_id = CAST(:user AS uuid) ORDER BY t.id"
    ),
}


async def export(session: Session, user_id: str, lms_user_id: str) -> dict[str, list[dict[str, Any]]]:
    """All sections, each oldest first; amounts in minor units of the row's currency. Of accounts that were
    merged into this one, what stands by their name."""
    merged = await session.execute(
        text("SELECT id, lms_user_id FROM commerce_user WHERE merged_into = CAST(:user AS uuid) ORDER BY id"),
        {"user": user_id},
    )
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (*_SECTIONS, "earnings")}
    for one, lms_one in ((user_id, lms_user_id), *((str(row.id), row.lms_user_id) for row in merged)):
        values = {"user": one, "lms_user": lms_one}
        for name, query in _SECTIONS.items():
            bound = {key: value for key, value in values.items() if f":{key}" in query}
            found[name] += [dict(row) for row in (await session.execute(text(query), bound)).scalars()]
        earned = await earnings.by_course(session, instructor_payee(lms_one))
        found["earnings"] += [asdict(course) for course in earned]
    return found
