"""Every place where something of a person may stand, and how it goes: one transaction wipes them all.

Whole columns where a column is theirs alone; where operators, the LMS or others may have written about
them, mentions (`domain.erasure.mentions`). What stays: the ledger and its ids, documents for as long as the
law keeps them, and of an address the country and state that the tax was counted for.
"""

from sqlalchemy import Text, TextClause, Uuid, bindparam, text

from domain.erasure import ERASED, ERASED_NAME, mentions
from models.database import Session
from models.queries import retention

_NAMES = (
    "SELECT name FROM (SELECT unnest(ARRAY[email, username, full_name]) AS name FROM commerce_user "
    "WHERE id = :user AND erased_at IS NULL UNION SELECT a.value #>> '{}' FROM orders o, "
    "LATERAL jsonb_each(o.billing_address) a WHERE o.user_id = :user "
    "AND a.key IN ('name', 'line1', 'line2', 'tax_id') "
    # Who they were when they bought.
    "UNION SELECT d.body #>> ARRAY['buyer', part] FROM document d JOIN orders o ON o.id = d.order_id, "
    "unnest(ARRAY['name', 'email']) part WHERE o.user_id = :user) WHERE name IS NOT NULL"
)
_SENTENCES = (
    "SELECT r.reason FROM refund r JOIN orders o ON o.id = r.order_id "
    "WHERE o.user_id = :user AND r.requested_by = :user"
)

_ORDERS = "(SELECT id FROM orders WHERE user_id = :user)"
_STREAMS = (
    "(SELECT 'order/' || id FROM orders WHERE user_id = :user UNION ALL "
    "SELECT 'entitlement/' || id FROM entitlement WHERE user_id = :user)"
)
_DELIVERIES = (
    "(SELECT d.id FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
    f"WHERE e.stream IN {_STREAMS})"
)


def _scrubbed(column: str) -> str:
    return f"{column} = regexp_replace({column}, :pattern, :instead, 'gi')"


# Country and state are what the tax was counted for; they name nobody.
_PLACE = "jsonb_strip_nulls(jsonb_build_object('country', {0}->'country', 'state', {0}->'state'))"
_PLACE_ASKED = _PLACE.format("body->'billing_address'")

# In this order: the person's row, by which they are recognized, comes last.
STEPS: dict[str, str] = {
    "timelines, published events": "SELECT scrub_histories(:user, :pattern, :instead)",
    "audit log": (
        "SELECT scrub_audit(array(SELECT CAST(:user AS text) UNION ALL "
        "SELECT id::text FROM orders WHERE user_id = :user UNION ALL "
        "SELECT id::text FROM entitlement WHERE user_id = :user UNION ALL "
        f"SELECT id::text FROM refund WHERE order_id IN {_ORDERS} UNION ALL "
        f"SELECT id::text FROM dispute WHERE order_id IN {_ORDERS} UNION ALL "
        f"SELECT provider_id FROM dispute WHERE order_id IN {_ORDERS} UNION ALL "
        "SELECT id::text FROM store_credit_grant WHERE user_id = :user), :pattern, :instead)"
    ),
    "refunds": (
        f"UPDATE refund SET {_scrubbed('reason')} WHERE order_id IN {_ORDERS} AND reason ~* :pattern"
    ),
    "entitlements": (
        f"UPDATE entitlement SET {_scrubbed('failure_detail')} "
        "WHERE user_id = :user AND failure_detail ~* :pattern"
    ),
    "questions": (
        f"UPDATE resolution SET {_scrubbed('reason')} WHERE reason ~* :pattern "
        f"AND line_id IN (SELECT id FROM order_line WHERE order_id IN {_ORDERS})"
    ),
    "store credit": (
        f"UPDATE store_credit_grant SET {_scrubbed('reason')} WHERE user_id = :user AND reason ~* :pattern"
    ),
    "tasks": f"UPDATE operator_task SET {_scrubbed('note')} WHERE user_id = :user AND note ~* :pattern",
    "deliveries": (
        f"UPDATE webhook_delivery SET {_scrubbed('last_response')}, {_scrubbed('last_error')} "
        f"WHERE id IN {_DELIVERIES} AND (last_response ~* :pattern OR last_error ~* :pattern)"
    ),
    "attempts of deliveries": (
        f"UPDATE webhook_attempt SET {_scrubbed('request_body')}, {_scrubbed('response_body')}, "
        f"{_scrubbed('error')}, response_headers = scrub_json(response_headers, :pattern, :instead) "
        f"WHERE delivery_id IN {_DELIVERIES} AND (request_body ~* :pattern OR response_body ~* :pattern "
        "OR error ~* :pattern OR response_headers::text ~* :pattern)"
    ),
    "what was asked": (
        "UPDATE command SET body = scrub_json(body, :pattern, :instead) "
        "WHERE body::text ~* :pattern AND (user_id = :user OR body->>'order_id' IN "
        "(SELECT id::text FROM orders WHERE user_id = :user) OR body->>'user_id' = CAST(:user AS text))"
    ),
    "addresses that were given": (
        "UPDATE command SET body = body - 'return_url' || jsonb_build_object('billing_address', "
        f"{_PLACE_ASKED}) WHERE user_id = :user AND body ? 'billing_address'"
    ),
    "orders": (
        f"UPDATE orders SET billing_address = {_PLACE.format('billing_address')}, return_url = NULL, "
        "taxation = CASE WHEN taxation ? 'tax_id' THEN taxation || '{\"tax_id\": null}' ELSE taxation END "
        "WHERE user_id = :user"
    ),
    "evidence": f"UPDATE dispute SET evidence = NULL WHERE order_id IN {_ORDERS}",
    "carts": ("DELETE FROM cart_line WHERE cart_id IN (SELECT id FROM cart WHERE user_id = :user)"),
    "sign-ins": "DELETE FROM refresh_token WHERE user_id = :user",
    "answers": (
        "DELETE FROM idempotency_record WHERE caller = 'user/' || CAST(:user AS text) OR caller IN "
        "(SELECT 'email/' || encode(sha256(convert_to(lower(email), 'UTF8')), 'hex') "
        "FROM commerce_user WHERE id = :user)"
    ),
    "person": (
        "UPDATE commerce_user SET email = NULL, username = :instead, full_name = :name, roles = '{}', "
        "given_roles = '{}', erased_at = coalesce(erased_at, now()) WHERE id = :user"
    ),
}


async def wipe(session: Session, user_id: str) -> None:
    """Wipe a person, with the accounts that were merged into theirs, in this transaction; again is harmless,
    and takes what came since."""
    merged = await session.execute(
        _bound("SELECT id FROM commerce_user WHERE merged_into = :user ORDER BY id", user=user_id)
    )
    for one in (*(str(found) for found in merged.scalars()), user_id):
        await _wipe(session, one)


async def _wipe(session: Session, user_id: str) -> None:
    names = (await session.execute(_bound(_NAMES, user=user_id))).scalars().all()
    sentences = (await session.execute(_bound(_SENTENCES, user=user_id))).scalars().all()
    texts = {"pattern": mentions(names, sentences), "instead": ERASED, "name": ERASED_NAME}
    await retention.purge_events_of(session, user_id)
    for statement in STEPS.values():
        named = {name: value for name, value in texts.items() if f":{name}" in statement}
        await session.execute(_bound(statement, user=user_id, **named))


def _bound(statement: str, *, user: str, **texts: str) -> TextClause:
    """With types said, because a value stands in several places."""
    return text(statement).bindparams(
        bindparam("user", user, Uuid(as_uuid=False)),
        *(bindparam(name, value, Text()) for name, value in texts.items()),
    )
