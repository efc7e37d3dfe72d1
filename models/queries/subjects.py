"""Who a person is to the database: their accounts, what identifies them, and the ids of all that is about
them."""

from dataclasses import dataclass

from sqlalchemy import text

from domain.ids import email_caller, instructor_payee, user_caller
from models.database import Session


@dataclass(frozen=True, slots=True)
class Subject:
    """A person with the accounts that were merged into theirs. `names` identify them, as long as they are
    known; `own_words` are the reasons that they gave themselves, of `own_refunds`. `about` are the ids of
    all rows about them, by which audit log and commands name them; `callers` the idempotency keys' callers
    that they were."""

    users: list[str]
    lms_users: list[str]
    orders: list[str]
    payees: list[str]
    streams: list[str]
    about: list[str]
    own_refunds: list[str]
    names: list[str]
    own_words: list[str]
    callers: list[str]


_ACCOUNTS = (
    "SELECT id::text AS id, lms_user_id FROM commerce_user "
    "WHERE id = CAST(:user AS uuid) OR merged_into = CAST(:user AS uuid) ORDER BY id"
)
_NAMES = (
    "SELECT name FROM (SELECT unnest(ARRAY[email, username, full_name]) AS name FROM commerce_user "
    "WHERE id = ANY(CAST(:users AS uuid[])) AND erased_at IS NULL "
    "UNION SELECT a.value #>> '{}' FROM orders o, LATERAL jsonb_each(o.billing_address) a "
    "WHERE o.id = ANY(CAST(:orders AS uuid[])) AND a.key IN ('name', 'line1', 'line2', 'tax_id') "
    # Who they were when they bought.
    "UNION SELECT d.body #>> ARRAY['buyer', part] FROM document d, unnest(ARRAY['name', 'email']) part "
    "WHERE d.order_id = ANY(CAST(:orders AS uuid[]))) WHERE name IS NOT NULL"
)
_OF_USERS = "user_id = ANY(CAST(:users AS uuid[]))"
_OF_ORDERS = "order_id = ANY(CAST(:orders AS uuid[]))"
_LINES = f"(SELECT id FROM order_line WHERE {_OF_ORDERS})"
# What a buyer chose of a question has the question's words: the refund bears the question's id.
_OWN_REFUNDS = (
    "SELECT id::text AS id, reason FROM refund r "
    f"WHERE requested_by = ANY(CAST(:users AS uuid[])) AND {_OF_ORDERS} "
    "AND NOT EXISTS (SELECT FROM resolution q WHERE q.id = r.id) ORDER BY id"
)
_ABOUT = (
    f"SELECT id::text FROM order_line WHERE {_OF_ORDERS} "
    f"UNION SELECT id::text FROM entitlement WHERE {_OF_USERS} "
    f"UNION SELECT id::text FROM cart WHERE {_OF_USERS} "
    f"UNION SELECT id::text FROM command WHERE {_OF_USERS} "
    f"UNION SELECT unnest(ARRAY[id::text, intent_id, charge_id]) FROM payment WHERE {_OF_ORDERS} "
    f"UNION SELECT unnest(ARRAY[id::text, provider_refund_id]) FROM refund WHERE {_OF_ORDERS} "
    f"UNION SELECT unnest(ARRAY[id::text, provider_id]) FROM dispute WHERE {_OF_ORDERS} "
    f"UNION SELECT id::text FROM document WHERE {_OF_ORDERS} "
    f"UNION SELECT id::text FROM resolution WHERE line_id IN {_LINES} "
    f"UNION SELECT id::text FROM store_credit_grant WHERE {_OF_USERS} OR {_OF_ORDERS} "
    f"UNION SELECT id::text FROM operator_task WHERE {_OF_USERS} OR {_OF_ORDERS} "
    f"UNION SELECT id::text FROM reconciliation_difference WHERE {_OF_ORDERS} "
    f"UNION SELECT id::text FROM payee_correction WHERE line_id IN {_LINES} "
    "OR payee_ref = ANY(:payees) OR to_payee_ref = ANY(:payees) "
    f"UNION SELECT id::text FROM person_erasure WHERE {_OF_USERS} "
    f"UNION SELECT id::text FROM person_merge WHERE {_OF_USERS} "
    "OR into_user_id = ANY(CAST(:users AS uuid[])) "
    "UNION SELECT d.id::text FROM webhook_delivery d "
    "JOIN outbound_event e ON e.id = d.event_id WHERE e.stream = ANY(:streams)"
)


async def subject(session: Session, user_id: str) -> Subject:
    """All by which a person can be found."""

    async def found(statement: str, **values: object) -> list[str]:
        return [str(one) for one in (await session.execute(text(statement), values)).scalars() if one]

    accounts = (await session.execute(text(_ACCOUNTS), {"user": user_id})).all()
    users = [row.id for row in accounts]
    orders = await found(f"SELECT id FROM orders WHERE {_OF_USERS} ORDER BY id", users=users)
    payees = [instructor_payee(row.lms_user_id) for row in accounts]
    streams = await found(
        "SELECT 'order/' || unnest(CAST(:orders AS text[])) "
        "UNION SELECT 'person/' || unnest(CAST(:users AS text[])) "
        f"UNION SELECT 'entitlement/' || id FROM entitlement WHERE {_OF_USERS}",
        users=users,
        orders=orders,
    )
    names = await found(_NAMES, users=users, orders=orders)
    own = (await session.execute(text(_OWN_REFUNDS), {"users": users, "orders": orders})).all()
    about = await found(_ABOUT, users=users, orders=orders, payees=payees, streams=streams)
    return Subject(
        users=users,
        lms_users=[row.lms_user_id for row in accounts],
        orders=orders,
        payees=payees,
        streams=streams,
        about=[*users, *orders, *payees, *about],
        own_refunds=[row.id for row in own],
        names=names,
        own_words=[row.reason for row in own],
        callers=[
            *(user_caller(user) for user in users),
            *(email_caller(name) for name in names if "@" in name),
        ],
    )
