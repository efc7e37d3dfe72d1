"""The gateway of a test, and callers of it."""

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from api.dependencies import Services
from api.tokens import new_api_key
from devstack.lms_standin.control import LmsControl
from models.queries import api_keys, people

PASSWORD = "commerce-demo"

_numbers = itertools.count(1)


@dataclass
class Caller:
    """Somebody with an access token, or nobody."""

    http: httpx.AsyncClient
    token: str | None = None
    user_id: str = ""
    lms_user_id: str = ""

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **params: Any,
    ) -> httpx.Response:
        """One request; writes get a fresh Idempotency-Key unless one is given."""
        sent = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if method != "GET":
            sent["Idempotency-Key"] = key or str(uuid.uuid4())
        json = {} if body is None else {"json": body}
        return await self.http.request(method, path, headers=sent | (headers or {}), params=params, **json)

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of an answer that must be good."""
        answer = await self.send(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
        """Status and code of an answer that must be a problem."""
        answer = await self.send(method, path, body, **more)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem = answer.json()
        assert problem["status"] == answer.status_code
        return answer.status_code, problem["code"]

    async def add(self, slug: str, **more: Any) -> Any:
        """Put an item into the cart."""
        item = await self.ok("GET", f"/v1/catalog/items/{slug}")
        return await self.ok("POST", "/v1/cart/items", {"item_id": item["id"], **more})


@dataclass
class Gateway:
    """A gateway in this process, and what stands behind it."""

    http: httpx.AsyncClient
    services: Services
    lms: LmsControl
    operator: Caller = field(init=False)

    def nobody(self) -> Caller:
        """Without a token."""
        return Caller(self.http)

    async def login(self, username: str) -> Caller:
        """A seeded account."""
        answer = await self.nobody().ok(
            "POST", "/v1/auth/login", {"username": username, "password": PASSWORD}
        )
        return Caller(self.http, answer["access_token"], answer["user"]["id"], answer["user"]["lms_user_id"])

    async def person(self, *roles: str) -> Caller:
        """Somebody new with these roles (a learner when none is named), without a visit to the LMS."""
        lms_user_id = f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}"
        async with self.services.database.transaction() as session:
            user = await people.remember(
                session,
                lms_user_id=lms_user_id,
                username=lms_user_id,
                email=None,
                full_name="Ann Example",
                roles=list(roles or ("learner",)),
            )
        return Caller(self.http, self.services.tokens.issue(user.id, user.roles), user.id, user.lms_user_id)

    async def machine(self, *scopes: str) -> Caller:
        """A machine with an API key for these scopes."""
        key, key_hash, hint = new_api_key()
        async with self.services.database.transaction() as session:
            row = await api_keys.insert(
                session, name="a test", hint=hint, key_hash=key_hash, scopes=scopes, expires_at=None
            )
        return Caller(self.http, key, row.id)

    async def item(self, **changes: Any) -> Any:
        """A new catalogue item: a course at 100 dollars unless told otherwise."""
        slug = f"item-{uuid.uuid4().hex[:12]}"
        body = {
            "slug": slug,
            "type": "course",
            "title": f"Course {slug}",
            "lms_course_id": slug,
            "prices": [{"amount": 10_000, "currency": "USD"}],
            "tax_code": "txcd_20060158",
        }
        return await self.operator.ok("POST", "/v1/catalog/items", body | changes)

    async def promotion(self, **changes: Any) -> Any:
        """A new promotion: 10 % off unless told otherwise."""
        body = {"code": f"P-{uuid.uuid4().hex[:10]}", "kind": "percent", "percent_bp": 1000}
        return await self.operator.ok("POST", "/v1/promotions", body | changes)


def usd(amount: int) -> dict[str, Any]:
    """Dollars in cents."""
    return {"amount": amount, "currency": "USD"}
