"""Who may reach what: every operation of the OpenAPI document x every kind of wrong caller.

A new route with an id fails `test_every_object_has_an_entry` until it is told which object to try; a new
route that anybody may call fails until it stands in PUBLIC, and one that any person may call until it is in
ANY_PERSON: the document is made from what the routes ask for, and can't tell that they ask for too little.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from api.dependencies import Principal
from api.main import create_app
from api.tokens import ALGORITHM, TYPE, TokenIssuer, new_api_key, parse_signing_keys
from config import Settings
from devstack.shopper import Shopper, wait_for
from domain.scopes import Scope
from models.database import Session
from models.queries import orders
from models.queries.orders import OrderRow
from tests.e2e.conftest import Shop

PUBLIC = {
    *("register", "login", "refresh", "logout", "jwks"),
    *("list_items", "get_item", "healthz", "readyz", "metrics"),
    *("receive_stripe_event", "receive_lms_event", "receive_payout_event"),  # signed
}
ANY_PERSON = {
    *("me", "export_me", "erase_me", "get_my_erasure", "get_dashboard"),
    *("get_cart", "add_cart_item", "change_cart_item", "remove_cart_item", "set_promo", "clear_promo"),
    *(
        "quote",
        "checkout",
        "list_orders",
        "get_order",
        "get_order_timeline",
        "get_order_money",
        "cancel_order",
    ),
    *("list_documents", "get_document", "get_receipt", "get_credit_note", "create_refund", "get_refund"),
    *("list_payments", "get_payment", "list_entitlements", "get_entitlement"),
    *("list_resolutions", "get_line_resolution", "resolve_line"),
    *("get_store_credit", "list_store_credit_entries"),
}
DENIED = (401, 403, 404)


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    path: str
    roles: frozenset[str]
    scope: str | None
    public: bool
    queries: frozenset[str]

    @property
    def names_object(self) -> bool:
        return "{" in self.path


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            security = {kind: names for entry in found.get("security", []) for kind, names in entry.items()}
            yield Operation(
                found["operationId"],
                method.upper(),
                path,
                frozenset(security.get("person", [])),
                next(iter(security.get("machine", [])), None),
                not security,
                frozenset(p["name"] for p in found.get("parameters", []) if p["in"] == "query"),
            )


@dataclass(frozen=True)
class Entry:
    """The object to try, and a body that would be good where ownership is looked at after the body."""

    params: dict[str, str]
    body: Any = None


@dataclass
class Callers:
    """Tokens by kind of caller."""

    owner: Shopper
    operator: Shopper
    tokens: dict[str, str | None] = field(default_factory=dict)


def forged(shop: Shop, user_id: str, **changes: Any) -> str:
    """A token signed by the gateway's own key, with claims that should not pass."""
    key = parse_signing_keys(shop.stack.env["JWT_SIGNING_KEYS"])[0]
    now = int(time.time())
    claims = {
        "iss": shop.stack.env["PUBLIC_URL"],
        "aud": "commerce",
        "sub": user_id,
        "iat": now,
        "exp": now + 900,
        "jti": str(uuid.uuid4()),
        "roles": ["operator"],
    }
    headers = {"typ": TYPE, "kid": key.kid}
    return jwt.encode(claims | changes, key.private, algorithm=ALGORITHM, headers=headers)


async def insert(shop: Shop, statement: str, *values: Any) -> str:
    url = shop.stack.urls.database_url.replace("+psycopg", "", 1)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        made = await connection.execute(statement + " RETURNING id", values)  # type: ignore[arg-type]
        row = await made.fetchone()
    assert row is not None
    return str(row[0])


async def machine_without(shop: Shop, *missing: str) -> str:
    key, key_hash, hint = new_api_key()
    scopes = [scope.value for scope in Scope if scope.value not in missing]
    statement = "INSERT INTO api_key (name, hint, key_hash, scopes) VALUES ('access', %s, %s, %s)"
    await insert(shop, statement, hint, key_hash, scopes)
    return key


async def settled_difference(shop: Shop) -> str:
    """One that is settled, so that the oracle of other tests has nothing to find."""
    statement = (
        "INSERT INTO reconciliation_difference (kind, subject, currency, expected, found, detail, state) "
        "VALUES ('amount_aged', %s, 'USD', 0, 0, 'of a test', 'accepted')"
    )
    return await insert(shop, statement, uuid.uuid4().hex)


async def closed_inquiry(shop: Shop, order: dict[str, Any]) -> str:
    """One that moved no money, so that the oracle of other tests has nothing to find."""
    statement = (
        "INSERT INTO dispute (provider_id, order_id, payment_id, amount, currency, reason, status, state, "
        "suspended_lines) VALUES (%s, %s, %s, 100, 'USD', 'general', 'warning_closed', 'closed', '[]')"
    )
    return await insert(shop, statement, f"du_{uuid.uuid4().hex}", order["id"], order["payments"][0]["id"])


async def withdrawn_question(shop: Shop, line: dict[str, Any]) -> None:
    """One that nobody has to answer."""
    statement = (
        "INSERT INTO resolution (line_id, lms_course_id, cause, reason, state) "
        "VALUES (%s, %s, 'lms_refused', 'of a test', 'withdrawn')"
    )
    await insert(shop, statement, line["id"], line["lms_course_id"])


async def closed_run_change(shop: Shop, order: dict[str, Any]) -> str:
    """A change that is done, so that nothing follows from it."""
    statement = (
        "INSERT INTO run_change (id, item_id, kind, reason, starts_at, deadline, requested_by, done_at) "
        "VALUES (uuidv7(), %s, 'rescheduled', 'of a test', now(), now(), %s, now())"
    )
    return await insert(shop, statement, order["lines"][0]["item_id"], order["user_id"])


@pytest.fixture(scope="module")
async def document(shop: Shop) -> list[Operation]:
    async with httpx.AsyncClient() as http:
        return list(operations((await http.get(f"{shop.gateway}/openapi.json")).json()))


@pytest.fixture(scope="module")
async def owner(shop: Shop) -> Shopper:
    return await shop.learner("owner")


async def a_task(shop: Shop, learner: Shopper) -> str:
    """A task that nobody has closed."""
    (row,) = await shop.query(
        "INSERT INTO operator_task (task_key, kind, user_id, what) "
        "VALUES (%s, 'completion_taken_back', %s, 'a test') RETURNING id",
        f"test/{uuid.uuid4()}",
        learner.user["id"],
    )
    return str(row["id"])


@pytest.fixture(scope="module")
async def entries(shop: Shop, owner: Shopper) -> dict[str, Entry]:
    """An object of somebody else for every operation that names one."""
    operator = await shop.operator()
    body = {"url": f"{shop.stack.urls.payout}/nowhere", "event_types": ["order.paid"]}
    endpoint = await operator.call("POST", "/v1/webhook-endpoints", body)
    order = await shop.buy(owner)
    refund = await operator.refund(order["id"])
    order = await wait_for(
        lambda: owner.order(order["id"]), lambda found: found["refunds"][0]["status"] == "succeeded"
    )
    documents = (await owner.call("GET", f"/v1/orders/{order['id']}/documents"))["data"]
    somebody = await shop.learner("somebody")
    task = await a_task(shop, owner)
    cart = await owner.add("live-workshop-2027")
    item = await owner.item("python-101")
    promotion = await operator.call(
        "POST",
        "/v1/promotions",
        {"code": f"ACCESS{uuid.uuid4().hex[:8]}", "kind": "percent", "percent_bp": 100},
    )
    affiliate = await operator.call(
        "POST",
        "/v1/affiliates",
        {"code": f"access-{uuid.uuid4().hex[:8]}", "payee_ref": "aff:access"},
    )
    sent = await operator.call("GET", f"/v1/webhook-endpoints/{endpoint['id']}/deliveries")
    delivery = sent["data"][0]
    difference = Entry({"difference_id": await settled_difference(shop)})
    of_order = {"order_id": order["id"]}
    dispute = Entry({"dispute_id": await closed_inquiry(shop, order)})
    back = Entry({"refund_id": refund["id"]})
    await withdrawn_question(shop, order["lines"][0])
    of_line = of_order | {"line_id": order["lines"][0]["id"]}
    person = {"user_id": owner.user["id"]}
    line = Entry({"line_id": cart["lines"][0]["id"]}, {"quantity": 1})
    hook = Entry({"endpoint_id": endpoint["id"]})
    return {
        "get_roles": Entry(person),
        "give_role": Entry(person | {"role": "instructor"}),
        "take_role": Entry(person | {"role": "instructor"}),
        "get_order": Entry(of_order),
        "cancel_order": Entry(of_order),
        "get_order_timeline": Entry(of_order),
        "get_order_money": Entry(of_order),
        "list_documents": Entry(of_order),
        "get_receipt": Entry(of_order),
        "get_document": Entry({"document_id": documents[0]["id"]}),
        "get_credit_note": Entry(of_order | {"refund_id": refund["id"]}),
        "create_refund": Entry(of_order, {"reason": "not mine"}),
        "create_adjustment": Entry(of_order),
        "get_refund": back,
        "reissue_refund": back,
        "cancel_refund": back,
        "get_dispute": dispute,
        "submit_dispute_evidence": dispute,
        "accept_dispute": dispute,
        "get_reconciliation_difference": difference,
        "repair_reconciliation_difference": difference,
        "accept_reconciliation_difference": difference,
        "get_line_resolution": Entry(of_line),
        "resolve_line": Entry(of_line, {"choice": "refund"}),
        "cancel_run": Entry({"item_id": item["id"]}),
        "reschedule_run": Entry({"item_id": item["id"]}),
        "get_run_change": Entry({"change_id": await closed_run_change(shop, order)}),
        "export_person": Entry({"user_id": owner.user["id"]}, {"reason": "not mine"}),
        "erase_person": Entry({"user_id": somebody.user["id"]}, {"reason": "not mine"}),
        "get_erasure": Entry({"user_id": somebody.user["id"]}),
        "get_task": Entry({"task_id": task}),
        "close_task": Entry({"task_id": task}, {"note": "not mine"}),
        "get_payment": Entry({"payment_id": order["payments"][0]["id"]}),
        "get_entitlement": Entry({"entitlement_id": order["entitlements"][0]["id"]}),
        "retry_entitlement": Entry({"entitlement_id": order["entitlements"][0]["id"]}),
        "change_cart_item": line,
        "remove_cart_item": line,
        "change_item": Entry({"item_id": item["id"]}, {}),
        "get_promotion": Entry({"promotion_id": promotion["id"]}),
        "change_promotion": Entry({"promotion_id": promotion["id"]}, {}),
        "get_affiliate": Entry({"affiliate_id": affiliate["id"]}),
        "change_affiliate": Entry({"affiliate_id": affiliate["id"]}, {}),
        "close_period": Entry({"period_id": datetime.now(UTC).strftime("%Y-%m")}, {"kind": "soft"}),
        "reopen_period": Entry({"period_id": datetime.now(UTC).strftime("%Y-%m")}),
        "get_webhook_endpoint": hook,
        "change_webhook_endpoint": Entry(hook.params, {}),
        "delete_webhook_endpoint": hook,
        "rotate_webhook_secret": hook,
        "list_webhook_deliveries": hook,
        "replay_webhooks": Entry(hook.params, {"since": datetime.now(UTC).isoformat()}),
        "get_webhook_delivery": Entry({"delivery_id": delivery["id"]}),
        "redeliver_webhook": Entry({"delivery_id": delivery["id"]}),
    }


class Http:
    """Sends one operation as one caller."""

    def __init__(self, shop: Shop, http: httpx.AsyncClient) -> None:
        self.shop, self._gateway, self._http = shop, shop.gateway, http

    async def status(
        self, operation: Operation, entry: Entry, token: str | None, **params: str
    ) -> tuple[int, str]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if operation.method != "GET":
            headers |= {"Idempotency-Key": str(uuid.uuid4()), "X-Audit-Reason": "a test"}
        path = operation.path.format(**entry.params)
        answer = await self._http.request(
            operation.method,
            f"{self._gateway}{path}",
            json=entry.body,
            headers=headers,
            params=params or None,
        )
        return answer.status_code, answer.text


async def wrong_answers(
    http: Http,
    document: list[Operation],
    entries: dict[str, Entry],
    unsigned: dict[str, str | None],
    persons: dict[str, str | None],
) -> tuple[list[str], int]:
    """What a gateway answers to wrong callers, where it should have answered otherwise; and how many tries.

    `persons`: by role, somebody whom the objects do not belong to.
    """
    unscoped_keys: dict[str | None, str] = {}
    wrong: list[str] = []
    tried = 0
    for operation in document:
        if operation.public:
            continue
        entry = entries.get(operation.id, Entry({}))
        expected: list[tuple[str, str | None, int]] = [(who, token, 401) for who, token in unsigned.items()]
        if operation.scope not in unscoped_keys:
            missing = [operation.scope] if operation.scope else []
            unscoped_keys[operation.scope] = await machine_without(http.shop, *missing)
        expected.append(("machine without the scope", unscoped_keys[operation.scope], 403))
        for who, token in persons.items():
            if operation.roles and who not in operation.roles:
                expected.append((f"other {who}", token, 403))
            elif operation.names_object:
                expected.append((f"other {who}", token, 404))
        for who, token, status in expected:
            tried += 1
            found, text = await http.status(operation, entry, token)
            if found != status:
                wrong.append(f"{operation.id} as {who}: {found}, not {status}: {text[:120]}")
    return wrong, tried


def test_every_object_has_an_entry(document: list[Operation], entries: dict[str, Entry]) -> None:
    named = {found.id for found in document if found.names_object and not found.public}
    assert named - set(entries) == set(), "new routes with an id: say above which object to try"
    assert set(entries) - named == set(), "no such routes any more"


def test_nothing_is_public_by_accident(document: list[Operation]) -> None:
    assert {found.id for found in document if found.public} == PUBLIC


def for_any_person(document: Iterable[Operation]) -> set[str]:
    """The operations that need a person, and none of a certain role."""
    return {found.id for found in document if not found.public and not found.roles}


def test_nothing_is_for_any_person_by_accident(document: list[Operation]) -> None:
    assert for_any_person(document) == ANY_PERSON


async def test_no_wrong_caller_gets_anywhere(
    shop: Shop, document: list[Operation], entries: dict[str, Entry], owner: Shopper
) -> None:
    """401 without a good token, 403 without the role or scope, 404 for what belongs to somebody else."""
    learner, instructor = (
        await shop.learner("other"),
        await Shopper(shop.gateway).login("instructor2@example.com"),
    )
    operator = await shop.operator()
    unsigned: dict[str, str | None] = {
        "nobody": None,
        "expired": forged(shop, owner.user["id"], iat=int(time.time()) - 1000, exp=int(time.time()) - 100),
        "wrong audience": forged(shop, owner.user["id"], aud="another-service"),
        "wrong issuer": forged(shop, owner.user["id"], iss="https://elsewhere.example"),
        "invented key": f"ck_{'x' * 43}",
    }
    persons = {"learner": learner.token, "instructor": instructor.token}
    async with httpx.AsyncClient(timeout=30) as client:
        http = Http(shop, client)
        wrong, tried = await wrong_answers(http, document, entries, unsigned, persons)
        assert wrong == []
        assert tried > 300

        # The matrix would say nothing if nobody got in: the right caller does, by person and by machine.
        everything = await machine_without(shop)
        for operation in document:
            if operation.public or not (operation.names_object or operation.roles):
                continue
            entry = entries.get(operation.id, Entry({}))
            right = [operator.token if operation.roles else owner.token]
            if operation.scope is not None and operation.method == "GET":
                right.append(everything)
            for token in right:
                found, text = await http.status(operation, entry, token)
                assert found not in DENIED, (operation.id, found, text)
                assert found < 500, (operation.id, found, text)


async def test_lists_of_others_can_not_be_asked_for(
    shop: Shop, document: list[Operation], owner: Shopper, entries: dict[str, Entry]
) -> None:
    learner = await shop.learner("curious")
    listed = [found for found in document if found.method == "GET" and "user_id" in found.queries]
    assert len(listed) >= 3
    async with httpx.AsyncClient() as client:
        for operation in listed:
            found, text = await Http(shop, client).status(
                operation, Entry({}), learner.token, user_id=owner.user["id"]
            )
            assert found in (200, 403, 404), (operation.id, text)
            for entry in entries.values():
                assert not any(value in text for value in entry.params.values() if len(value) == 36), (
                    operation.id
                )
        instructor = await Shopper(shop.gateway).login("instructor2@example.com")
        for operation in document:
            if operation.id in {"get_earnings", "list_earning_entries", "list_payouts"}:
                found, text = await Http(shop, client).status(
                    operation, Entry({}), instructor.token, payee="lms:102"
                )
                assert found in (403, 404), (operation.id, text)


def test_the_forger_of_these_tests_can_make_a_good_token(shop: Shop, owner: Shopper) -> None:
    """Or the refusals above would prove nothing."""
    keys = parse_signing_keys(shop.stack.env["JWT_SIGNING_KEYS"])
    issuer = TokenIssuer(keys, issuer=shop.stack.env["PUBLIC_URL"], audience="commerce")
    assert issuer.verify(forged(shop, owner.user["id"])).sub == owner.user["id"]


async def test_planted_a_route_without_its_ownership_check_is_named(
    shop: Shop, document: list[Operation], entries: dict[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same matrix, over a gateway in which one route forgot to ask whose the order is."""

    async def anybodys(session: Session, caller: Principal, order_id: str) -> OrderRow | None:
        return await orders.get(session, order_id)

    learner = await shop.learner("curious")
    environment = {name.lower(): value for name, value in shop.stack.env.items()}
    app = create_app(Settings.model_validate(environment))
    of_orders = [found for found in document if found.method == "GET" and "{order_id}" in found.path]
    assert len(of_orders) > 3
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
        matrix = (Http(shop, client), of_orders, entries, {"nobody": None}, {"learner": learner.token})
        assert (await wrong_answers(*matrix))[0] == []
        monkeypatch.setattr("api.routes.order_money.own_order", anybodys)
        (wrong,) = (await wrong_answers(*matrix))[0]
    assert wrong.startswith("get_order_money as other learner: 200, not 404")
