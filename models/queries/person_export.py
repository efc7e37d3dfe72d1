"""Everything that is held of one person, by kind, in the database's own words."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from models.database import Session
from models.queries import earnings, store_credit
from models.queries.subjects import Subject, subject

_OF_USERS = "user_id = ANY(CAST(:users AS uuid[]))"
_OF_ORDERS = "order_id = ANY(CAST(:orders AS uuid[]))"


def _rows(table: str, where: str, *hidden: str, by: str = "id") -> str:
    """Whole rows, but for columns that say nothing of the person: a new column is in the export."""
    left_out = "".join(f" - '{column}'" for column in hidden)
    return f"SELECT to_jsonb(t){left_out} FROM {table} t WHERE {where} ORDER BY t.{by}"


# Each gives rows as JSON, oldest first; values are those of a `Subject`.
SECTIONS: dict[str, str] = {
    "accounts": _rows("commerce_user", "id = ANY(CAST(:users AS uuid[]))"),
    "orders": (
        "SELECT jsonb_build_object('id', o.id, 'number', o.number, 'created_at', o.created_at, "
        "'paid_at', o.paid_at, 'currency', o.currency, 'subtotal', o.subtotal, 'discount', o.discount, "
        "'tax', o.tax, 'total', o.total, 'store_credit', o.store_credit, 'amount_paid', o.amount_paid, "
        "'amount_refunded', o.amount_refunded, "
        "'payment', o.payment_state, 'fulfilment', o.fulfilment_state, 'dispute', o.dispute_state, "
        "'promo_codes', o.promo_codes, 'billing_address', o.billing_address, 'locale', o.locale, "
        "'return_url', o.return_url, 'taxation', o.taxation, 'channel', o.channel, 'lines', "
        "(SELECT jsonb_agg(jsonb_build_object('title', l.title, 'course', l.lms_course_id, 'list_net', "
        "l.list_net, 'gross', l.gross, 'completed_at', c.completed_at) ORDER BY l.ordinal) "
        "FROM order_line l LEFT JOIN completion c ON c.lms_user_id = ANY(:lms_users) "
        "AND c.lms_course_id = l.lms_course_id WHERE l.order_id = o.id), 'timeline', "
        "(SELECT jsonb_agg(jsonb_build_object('at', e.at, 'kind', e.kind, 'detail', e.detail) ORDER BY e.id) "
        "FROM order_event e WHERE e.order_id = o.id)) "
        f"FROM orders o WHERE o.{_OF_USERS} ORDER BY o.id"
    ),
    "payments": (
        "SELECT jsonb_build_object('order_id', p.order_id, 'payment_intent_id', p.intent_id, "
        "'charge_id', p.charge_id, 'status', p.status, 'amount', p.amount, 'currency', p.currency, "
        "'failure_code', p.failure_code, 'failure_message', p.failure_message, 'created_at', p.created_at, "
        f"'succeeded_at', p.succeeded_at) FROM payment p WHERE p.{_OF_ORDERS} ORDER BY p.id"
    ),
    "refunds": (
        "SELECT jsonb_build_object('id', r.id, 'order_id', r.order_id, 'kind', r.kind, 'status', r.status, "
        "'amount', r.amount, 'reason', r.reason, 'credit_amount', r.credit_amount, "
        "'currency', r.currency, 'failure_reason', r.failure_reason, 'created_at', r.created_at, "
        "'settled_at', r.settled_at, 'lines', (SELECT jsonb_agg(jsonb_build_object("
        "'order_line_id', l.line_id, 'gross', l.gross) ORDER BY l.id) FROM refund_line l "
        f"WHERE l.refund_id = r.id)) FROM refund r WHERE r.{_OF_ORDERS} ORDER BY r.id"
    ),
    "disputes": (
        "SELECT jsonb_build_object('order_id', d.order_id, 'state', d.state, 'reason', d.reason, "
        "'amount', d.amount, 'currency', d.currency, 'evidence', d.evidence, 'created_at', d.created_at, "
        f"'closed_at', d.closed_at) FROM dispute d WHERE d.{_OF_ORDERS} ORDER BY d.id"
    ),
    "entitlements": (
        "SELECT jsonb_build_object('id', e.id, 'course', e.lms_course_id, 'status', e.status, "
        "'failure_code', e.failure_code, 'failure_detail', e.failure_detail, 'attempts', e.attempts, "
        "'next_try_at', e.next_try_at, 'waits_for', e.waits_for, "
        "'created_at', e.created_at, 'changed_at', e.changed_at, 'order_lines', "
        "(SELECT jsonb_agg(j.line_id ORDER BY j.id) FROM justification j WHERE j.entitlement_id = e.id "
        f"AND j.active)) FROM entitlement e WHERE e.{_OF_USERS} ORDER BY e.id"
    ),
    "questions": _rows(
        "resolution", f"line_id IN (SELECT id FROM order_line WHERE {_OF_ORDERS})", "decision_key"
    ),
    "completions": (
        "SELECT jsonb_build_object('course', c.lms_course_id, 'completed_at', c.completed_at, "
        "'taken_back_at', c.taken_back_at) "
        "FROM completion c WHERE c.lms_user_id = ANY(:lms_users) ORDER BY c.completed_at"
    ),
    "completions_taken_back": (
        "SELECT jsonb_build_object('course', c.lms_course_id, 'until', c.revoked_at, "
        "'received_at', c.received_at) "
        "FROM completion_revocation c WHERE c.lms_user_id = ANY(:lms_users) ORDER BY c.id"
    ),
    "documents": (
        "SELECT jsonb_build_object('id', d.id, 'order_id', d.order_id, 'kind', d.kind, 'number', d.number, "
        "'issued_on', d.issued_on, 'content', d.body) FROM document d "
        f"WHERE d.{_OF_ORDERS} ORDER BY d.id"
    ),
    "carts": (
        "SELECT jsonb_build_object('open', c.open, 'created_at', c.created_at, 'promo_codes', c.promo_codes, "
        "'items', (SELECT jsonb_agg(i.title ORDER BY l.id) FROM cart_line l "
        "JOIN catalog_item i ON i.id = l.item_id WHERE l.cart_id = c.id)) "
        f"FROM cart c WHERE c.{_OF_USERS} ORDER BY c.id"
    ),
    "promotion_uses": (
        "SELECT jsonb_build_object('code', p.code, 'order_id', u.order_id, 'state', u.state) "
        "FROM promotion_use u JOIN promotion p ON p.id = u.promotion_id "
        f"WHERE u.{_OF_USERS} ORDER BY u.id"
    ),
    "store_credit": (
        "SELECT jsonb_build_object('amount', g.amount, 'currency', g.currency, 'reason', g.reason, "
        "'order_id', g.order_id, 'created_at', g.created_at) "
        f"FROM store_credit_grant g WHERE g.{_OF_USERS} ORDER BY g.id"
    ),
    "store_credit_entries": (
        "SELECT jsonb_build_object('at', e.recorded_at, 'kind', e.kind, 'order_id', e.order_id, "
        "'amount', -p.amount, 'currency', p.currency) FROM posting p JOIN journal_entry e "
        "ON e.id = p.entry_id WHERE p.account = '2330' AND p.sub = ANY(:users) ORDER BY e.id"
    ),
    "asked_for": _rows("command", _OF_USERS),
    "tasks": _rows("operator_task", f"{_OF_USERS} OR {_OF_ORDERS}", "task_key", "closed_by"),
    "differences": _rows("reconciliation_difference", _OF_ORDERS, "run_id", "resolved_by"),
    "erasures": _rows("person_erasure", _OF_USERS, "requested_by"),
    "merges": _rows("person_merge", f"{_OF_USERS} OR into_user_id = ANY(CAST(:users AS uuid[]))"),
    "events_received": (
        "SELECT jsonb_build_object('at', i.received_at, 'source', i.source, 'type', i.type, "
        "'content', i.payload #- '{data,object,client_secret}') FROM inbound_event i "
        f"WHERE i.{_OF_ORDERS} OR (i.source = 'lms' AND "
        "i.purged_at IS NULL AND i.payload #>> '{data,user_id}' = ANY(:lms_users)) ORDER BY i.id"
    ),
    "events_sent": (
        "SELECT jsonb_build_object('at', e.created_at, 'type', e.type, 'content', e.data) "
        "FROM outbound_event e WHERE e.stream = ANY(:streams) ORDER BY e.id"
    ),
    # What was done about them and why, without who did it.
    "actions_about": (
        "SELECT jsonb_build_object('at', a.created_at, 'action', a.action, 'reason', a.reason, "
        "'status', a.status_code) FROM audit_entry a WHERE a.objects && :about ORDER BY a.id"
    ),
    # What they did with the powers of an operator, without about whom.
    "actions_of": (
        "SELECT jsonb_build_object('at', a.created_at, 'action', a.action, 'status', a.status_code) "
        "FROM audit_entry a WHERE a.actor_id = ANY(:users) ORDER BY a.id"
    ),
    "sign_ins": (
        "SELECT jsonb_build_object('at', t.created_at, 'until', t.expires_at, 'ended', t.revoked) "
        f"FROM refresh_token t WHERE t.{_OF_USERS} ORDER BY t.id"
    ),
    "payouts": (
        "SELECT jsonb_build_object('payout_id', p.payout_id, 'amount', p.amount, 'currency', p.currency, "
        "'at', p.created_at) FROM payout_settlement p WHERE p.payee_ref = ANY(:payees) ORDER BY p.id"
    ),
    "corrections": _rows(
        "payee_correction", "payee_ref = ANY(:payees) OR to_payee_ref = ANY(:payees)", "requested_by"
    ),
}
# Made of several tables by the queries that the API itself reads them with.
COMPUTED = {"store_credit_balances": "posting orders", "earnings": "posting order_line"}

# Tables that name a person or an order, and are in no section: why.
NOT_EXPORTED: dict[str, str] = {
    "account_change": "that the LMS told of changes; what they came to is in `person`",
    "affiliate": "a code and a payee of the payout system; earnings and payouts are exported by the payee",
    "balance_match": "which entry stands for which transaction of the processor",
    "balance_snapshot": "sums of postings, made again from them",
    "balance_transaction": "what the processor took for an order: a cost of ours",
    "idempotency_record": "sealed copies of answers, for 72 hours",
    "lms_maintenance": "about the platform; who set it is in the actions of them",
    "payee_volume": "what a payee's tiers count, made again from the lines",
    "period_change": "about the books; who closed a month is in the actions of them",
    "run_change": "about a run; who asked for it is in the actions of them, and buyers have their questions",
    "sealed_entry": "hashes of the ledger",
    "split_rule": "what payees are promised of all sales of an item: terms, which they have",
    "tax_report": "the same sale as its document, told to the tax calculator",
    "webhook_attempt": "copies of events sent",
    "webhook_delivery": "copies of events sent",
}


async def export(session: Session, user_id: str) -> dict[str, list[dict[str, Any]]]:
    """All sections, each oldest first; amounts in minor units of the row's currency. With the accounts that
    were merged into this one."""
    person = await subject(session, user_id)
    values = asdict(person)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, query in SECTIONS.items():
        bound = {key: value for key, value in values.items() if f":{key}" in query}
        found[name] = [dict(row) for row in (await session.execute(text(query), bound)).scalars()]
    return found | await _computed(session, person)


async def _computed(session: Session, person: Subject) -> dict[str, list[dict[str, Any]]]:
    credit = [one for user in person.users for one in await store_credit.balances(session, user)]
    earned = [one for payee in person.payees for one in await earnings.by_course(session, payee)]
    return {
        "store_credit_balances": [asdict(one) for one in credit],
        "earnings": [asdict(one) for one in earned],
    }
