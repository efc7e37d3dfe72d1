"""Every place where something of a person may stand, and how it goes: one transaction wipes them all.

Whole columns where a column is theirs alone; where operators, the LMS or others may have written about
them, mentions (`domain.erasure.mentions`). What stays, and why, is said in `models.queries.personal_data`,
column by column.
"""

import re
from dataclasses import asdict
from typing import Any

from sqlalchemy import Text, TextClause, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.erasure import ERASED, ERASED_NAME, mentions, words
from models.database import Session
from models.queries import retention
from models.queries.subjects import subject

_OF_USERS = "user_id = ANY(:users)"
_OF_ORDERS = "order_id = ANY(CAST(:orders AS uuid[]))"
_OF_LINES = f"line_id IN (SELECT id FROM order_line WHERE {_OF_ORDERS})"
_DELIVERIES = (
    "(SELECT d.id FROM webhook_delivery d "
    "JOIN events_about(:streams, :payees, :orders) e ON e.id = d.event_id)"
)
_OF_OWN_REFUNDS = (
    "(SELECT d.id FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
    "WHERE e.stream = ANY(:streams) AND e.data->>'refund_id' = ANY(CAST(:own_refunds AS text[])))"
)


def _replaced(column: str, pattern: str = "pattern") -> str:
    return f"{column} = regexp_replace({column}, :{pattern}, :instead, 'gi')"


def _scrubbed(table: str, column: str, where: str) -> str:
    return f"UPDATE {table} SET {_replaced(column)} WHERE ({where}) AND {column} ~* :pattern"


# The member of a logged body that has a refund's reason, also where the log cut it off.
_REASON_MEMBER = r'"reason": ?"(?:[^"\\]|\\.)*(?:"|\\?$)'
# Country and state are what the tax was counted for; they name nobody.
_PLACE = "jsonb_strip_nulls(jsonb_build_object('country', {0}->'country', 'state', {0}->'state'))"
_PLACE_ASKED = _PLACE.format("body->'billing_address'")

# In this order: the person's row, by which they are recognized, comes last; what they wrote themselves is
# known by their refunds until those are wiped.
STEPS: dict[str, str] = {
    "timelines": "SELECT scrub_timelines(:orders, :own_refunds, :pattern, :instead)",
    "published events": ("SELECT scrub_events(:streams, :payees, :orders, :own_refunds, :pattern, :instead)"),
    "audit log": "SELECT scrub_audit(:about, :pattern, :instead)",
    "own words in answers of receivers": (
        f"UPDATE webhook_delivery SET {_replaced('last_response', 'own_pattern')}, "
        f"{_replaced('last_error', 'own_pattern')} WHERE id IN {_OF_OWN_REFUNDS}"
    ),
    "own words in attempts of deliveries": (
        "UPDATE webhook_attempt SET request_body = regexp_replace(request_body, :reason_member, "
        "'\"reason\":\"' || :instead || '\"', 'g'), "
        f"{_replaced('response_body', 'own_pattern')}, {_replaced('error', 'own_pattern')}, "
        "response_headers = scrub_json(response_headers, :own_pattern, :instead) "
        f"WHERE delivery_id IN {_OF_OWN_REFUNDS}"
    ),
    "deliveries": (
        f"UPDATE webhook_delivery SET {_replaced('last_response')}, {_replaced('last_error')} "
        f"WHERE id IN {_DELIVERIES} AND (last_response ~* :pattern OR last_error ~* :pattern)"
    ),
    "attempts of deliveries": (
        f"UPDATE webhook_attempt SET {_replaced('request_body')}, {_replaced('response_body')}, "
        f"{_replaced('error')}, response_headers = scrub_json(response_headers, :pattern, :instead) "
        f"WHERE delivery_id IN {_DELIVERIES} AND (request_body ~* :pattern OR response_body ~* :pattern "
        "OR error ~* :pattern OR response_headers::text ~* :pattern)"
    ),
    "own words in what was asked": (
        "UPDATE command SET body = body || jsonb_build_object('reason', CAST(:instead AS text)) "
        f"WHERE {_OF_USERS} AND body ? 'reason' AND body->>'order_id' = ANY(:orders)"
    ),
    "what was asked": (
        "UPDATE command SET body = scrub_json(body, :pattern, :instead) "
        f"WHERE body::text ~* :pattern AND ({_OF_USERS} OR names_any(body, :about))"
    ),
    "addresses that were given": (
        "UPDATE command SET body = body - 'return_url' || jsonb_build_object('billing_address', "
        f"{_PLACE_ASKED}) WHERE {_OF_USERS} AND body ? 'billing_address'"
    ),
    "own reasons of refunds": (
        "UPDATE refund SET reason = :instead WHERE id = ANY(CAST(:own_refunds AS uuid[]))"
    ),
    "refunds": _scrubbed("refund", "reason", _OF_ORDERS),
    "failures of refunds": _scrubbed("refund", "failure_reason", _OF_ORDERS),
    "failures of payments": _scrubbed("payment", "failure_message", _OF_ORDERS),
    "failures of tax reports": _scrubbed("tax_report", "failure", _OF_ORDERS),
    "entitlements": _scrubbed("entitlement", "failure_detail", _OF_USERS),
    "questions": _scrubbed("resolution", "reason", _OF_LINES),
    "store credit": _scrubbed("store_credit_grant", "reason", f"{_OF_USERS} OR {_OF_ORDERS}"),
    "tasks": _scrubbed("operator_task", "what", f"{_OF_USERS} OR {_OF_ORDERS}"),
    "notes of tasks": _scrubbed("operator_task", "note", f"{_OF_USERS} OR {_OF_ORDERS}"),
    "differences": _scrubbed("reconciliation_difference", "detail", _OF_ORDERS),
    "resolutions of differences": _scrubbed("reconciliation_difference", "resolution", _OF_ORDERS),
    "corrections": _scrubbed(
        "payee_correction",
        "reason",
        f"{_OF_LINES} OR payee_ref = ANY(:payees) OR to_payee_ref = ANY(:payees)",
    ),
    "orders": (
        f"UPDATE orders SET billing_address = {_PLACE.format('billing_address')}, return_url = NULL, "
        "taxation = CASE WHEN taxation ? 'tax_id' THEN taxation || '{\"tax_id\": null}' ELSE taxation END "
        f"WHERE {_OF_USERS}"
    ),
    "evidence": f"UPDATE dispute SET evidence = NULL WHERE {_OF_ORDERS}",
    "carts": f"DELETE FROM cart_line WHERE cart_id IN (SELECT id FROM cart WHERE {_OF_USERS})",
    "sign-ins": f"DELETE FROM refresh_token WHERE {_OF_USERS}",
    "answers": "DELETE FROM idempotency_record WHERE caller = ANY(:callers)",
    "person": (
        "UPDATE commerce_user SET email = NULL, username = :instead, full_name = :name, roles = '{}', "
        "given_roles = '{}', erased_at = coalesce(erased_at, now()) WHERE id = ANY(:users)"
    ),
}
_UUIDS = frozenset({"users", "own_refunds"})


async def wipe(session: Session, user_id: str) -> None:
    """Wipe a person, with the accounts that were merged into theirs, in this transaction; again is harmless,
    and takes what came since."""
    found = await subject(session, user_id)
    await retention.purge_events_of(session, found.users)
    values = asdict(found) | {
        "pattern": mentions(found.names, found.own_words),
        "own_pattern": words(found.own_words),
        "reason_member": _REASON_MEMBER,
        "instead": ERASED,
        "name": ERASED_NAME,
    }
    for statement in STEPS.values():
        await session.execute(_bound(statement, values))


def _bound(statement: str, values: dict[str, Any]) -> TextClause:
    """With types said, because a value stands in several places."""

    def typed(name: str) -> Any:
        if name in _UUIDS:
            return ARRAY(Uuid(as_uuid=False))
        return ARRAY(Text()) if isinstance(values[name], list) else Text()

    named = dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", statement))
    return text(statement).bindparams(*(bindparam(name, values[name], typed(name)) for name in named))
