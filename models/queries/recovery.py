"""What is not at its end: rows that should have a workflow running."""

from dataclasses import dataclass

from sqlalchemy import text

from models.database import Session
from models.queries import lms_calls, refunds

# Younger rows may simply not have been reached yet.
_SETTLING_SECONDS = 30
_SETTLING = f"interval '{_SETTLING_SECONDS} seconds'"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Ids by kind."""

    order_ids: list[str]
    refund_ids: list[str]
    entitlements: list[tuple[str, str]]
    line_ids: list[str]
    late_payments: list[tuple[str, str]]
    late_failures: list[tuple[str, str]]
    parked_refunds: list[refunds.ParkedRefund]
    payouts: list[str]
    tax_reports: list[str]
    disputes: list[str]
    resolutions: list[str]
    run_changes: list[str]
    erasures: list[str]
    merges: list[str]
    account_changes: list[str]


_ORDERS = (
    "SELECT id::text, NULL FROM orders WHERE (payment_state IN ('pending', 'processing') OR "
    "(payment_state = 'paid' AND fulfilment_state <> 'fulfilled')) "
    f"AND created_at < now() - {_SETTLING} ORDER BY id"
)
_REFUNDS = (
    f"SELECT r.id::text, NULL FROM refund r WHERE {refunds.OPEN_SQL} "
    f"AND r.created_at < now() - {_SETTLING} ORDER BY r.id"
)
_ACCESS = (
    "SELECT e.user_id::text, e.lms_course_id FROM entitlement e "
    f"WHERE (e.status IN ('pending', 'granting', 'revoking') OR {lms_calls.OWED_SQL}) "
    f"AND e.changed_at < now() - {_SETTLING} ORDER BY e.id"
)
_LINES = (
    "SELECT l.id::text, NULL FROM order_line l JOIN orders o ON o.id = l.order_id "
    "WHERE o.payment_state = 'paid' AND l.list_net > 0 AND l.awaits_revenue "
    f"AND o.paid_at < now() - {_SETTLING}"
)
# Lines wait for weeks, so a large shop has very many of them. A run looks at its share: the lines fall
# into as many parts as needed, and the clock says whose turn it is. All have had theirs after as many runs.
_SHARE_OF_LINES = (
    f"WITH open (id) AS ({_LINES}), "
    "parts AS (SELECT greatest(1, ceil(count(*) / CAST(:at_once AS numeric)))::bigint AS n FROM open) "
    "SELECT open.id, NULL FROM open, parts WHERE (hashtextextended(open.id, 0) & 9223372036854775807) % n "
    "= (extract(epoch FROM now())::bigint / :every_seconds) % n ORDER BY open.id"
)
_LATE = (
    "SELECT DISTINCT o.id::text, e.payload->'data'->'object'->>'id' FROM inbound_event e "
    "JOIN orders o ON o.id = e.order_id "
    "LEFT JOIN payment p ON p.intent_id = e.payload->'data'->'object'->>'id' "
    "WHERE e.source = 'stripe' AND e.type = 'payment_intent.succeeded' "
    "AND o.payment_state NOT IN ('pending', 'processing') AND (p.id IS NULL OR (NOT p.applied "
    "AND NOT EXISTS (SELECT FROM refund r WHERE r.payment_id = p.id AND r.kind = 'unapplied'))) "
    f"AND e.received_at < now() - {_SETTLING}"
)

_LATE_FAILURES = (
    "SELECT DISTINCT p.order_id::text, p.intent_id FROM inbound_event e "
    "JOIN payment p ON p.intent_id = e.payload#>>'{data,object,payment_intent}' "
    "WHERE e.source = 'stripe' AND e.type IN ('charge.failed', 'charge.updated') "
    "AND e.payload#>>'{data,object,status}' = 'failed' "
    "AND e.payload#>>'{data,object,failure_balance_transaction}' IS NOT NULL AND p.status = 'succeeded' "
    f"AND e.received_at < now() - {_SETTLING}"
)

_PAYOUTS = (
    "SELECT e.id::text, NULL FROM inbound_event e WHERE e.source = 'payout' AND e.type = 'payout.settled' "
    "AND NOT EXISTS (SELECT FROM payout_settlement s WHERE s.payout_id = e.payload#>>'{data,payout_id}' "
    "AND s.payee_ref = e.payload#>>'{data,payee_ref}') "
    f"AND e.dispatched_at < now() - {_SETTLING} ORDER BY e.id"
)

_TAX_REPORTS = (
    "SELECT document_id::text, NULL FROM tax_report WHERE reported_at IS NULL AND failure IS NULL "
    f"AND created_at < now() - {_SETTLING} ORDER BY document_id"
)


@dataclass(frozen=True, slots=True)
class Share:
    """How many lines a run looks at, and how often there is one: seconds."""

    lines_at_once: int
    every_seconds: int


# Also those that an event told of and that no workflow has written down yet.
_DISPUTES = (
    "SELECT provider_id, NULL FROM dispute WHERE state IN ('inquiry', 'open') "
    f"AND created_at < now() - {_SETTLING} UNION "
    "SELECT e.payload->'data'->'object'->>'id', NULL FROM inbound_event e "
    "WHERE e.source = 'stripe' AND e.type LIKE 'charge.dispute.%' AND e.order_id IS NOT NULL "
    f"AND e.dispatched_at IS NOT NULL AND e.received_at < now() - {_SETTLING} AND NOT EXISTS "
    "(SELECT FROM dispute d WHERE d.provider_id = e.payload->'data'->'object'->>'id')"
)


_RESOLUTIONS = (
    "SELECT id::text, NULL FROM resolution WHERE state IN ('open', 'decided') "
    f"AND created_at < now() - {_SETTLING} ORDER BY id"
)
_RUN_CHANGES = (
    "SELECT id::text, NULL FROM run_change WHERE done_at IS NULL "
    f"AND created_at < now() - {_SETTLING} ORDER BY id"
)
_MERGES = (
    "SELECT id::text, NULL FROM person_merge WHERE done_at IS NULL "
    f"AND created_at < now() - {_SETTLING} ORDER BY id"
)
_ACCOUNT_CHANGES = (
    "SELECT user_id::text, NULL FROM account_change WHERE followed < told "
    f"AND told_at < now() - {_SETTLING} ORDER BY told_at"
)
_ERASURES = (
    "SELECT user_id::text, NULL FROM person_erasure WHERE done_at IS NULL "
    f"AND created_at < now() - {_SETTLING} ORDER BY id"
)


async def unfinished(session: Session, share: Share | None = None) -> Unfinished:
    """Everything that waits for something and is older than half a minute; of lines a share, if given."""

    async def pairs(query: str, **values: int) -> list[tuple[str, str]]:
        return [(row[0], row[1]) for row in await session.execute(text(query), values)]

    if share is None:
        lines = await pairs(f"{_LINES} ORDER BY l.id")
    else:
        lines = await pairs(_SHARE_OF_LINES, at_once=share.lines_at_once, every_seconds=share.every_seconds)

    return Unfinished(
        order_ids=[first for first, _ in await pairs(_ORDERS)],
        refund_ids=[first for first, _ in await pairs(_REFUNDS)],
        entitlements=await pairs(_ACCESS),
        line_ids=[first for first, _ in lines],
        late_payments=await pairs(_LATE),
        late_failures=await pairs(_LATE_FAILURES),
        parked_refunds=await refunds.all_parked(session, settled_seconds=_SETTLING_SECONDS),
        payouts=[first for first, _ in await pairs(_PAYOUTS)],
        tax_reports=[first for first, _ in await pairs(_TAX_REPORTS)],
        disputes=[first for first, _ in await pairs(_DISPUTES)],
        resolutions=[first for first, _ in await pairs(_RESOLUTIONS)],
        run_changes=[first for first, _ in await pairs(_RUN_CHANGES)],
        erasures=[first for first, _ in await pairs(_ERASURES)],
        merges=[first for first, _ in await pairs(_MERGES)],
        account_changes=[first for first, _ in await pairs(_ACCOUNT_CHANGES)],
    )
