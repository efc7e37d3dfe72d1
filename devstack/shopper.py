"""A person at a front end: registers, fills a cart, checks out, waits. Used by the demo, bench and tests."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

import httpx

PASSWORD = "commerce-demo"
US_ADDRESS = {"country": "US", "state": "NY", "postal_code": "10001"}

T = TypeVar("T")


class ApiProblem(Exception):
    """A problem answer of the gateway."""

    def __init__(self, response: httpx.Response) -> None:
        try:
            self.problem: dict[str, Any] = response.json()
        except ValueError:
            self.problem = {"code": "not_json", "detail": response.text[:500]}
        self.status = response.status_code
        self.code = str(self.problem.get("code"))
        super().__init__(f"{self.status} {self.code}: {self.problem.get('detail')}")


async def wait_for(
    read: Callable[[], Awaitable[T]], good: Callable[[T], bool], *, seconds: float = 30, what: str = ""
) -> T:
    """Ask until the answer is good; TimeoutError with the last answer otherwise."""
    deadline = time.monotonic() + seconds
    pause = 0.02
    while True:
        answer = await read()
        if good(answer):
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"still waiting for {what or 'a good answer'}: {answer}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.3)


class Shopper:
    """One signed-in caller of the gateway."""

    def __init__(self, base_url: str, *, http: httpx.AsyncClient | None = None) -> None:
        # Plain http on loopback: no authorities to load.
        self._http = http or httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False, verify=False)
        self.base_url = base_url
        self.token: str | None = None
        self.refresh_token: str | None = None
        self.user: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, reason: str | None = None
    ) -> httpx.Response:
        """One request as it is; writes get a fresh Idempotency-Key unless one is given."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if method != "GET":
            headers["Idempotency-Key"] = key or str(uuid.uuid4())
        if reason is not None:
            headers["X-Audit-Reason"] = reason
        return await self._http.request(method, f"{self.base_url}{path}", json=body, headers=headers)

    async def insist(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request, repeated with its key while the answer is 503, as a front end is told to."""
        key = str(uuid.uuid4())
        while True:
            answer = await self.send(method, path, body, key=key)
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.5)

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, reason: str | None = None
    ) -> Any:
        """One request; its JSON, or ApiProblem."""
        response = await self.send(method, path, body, key=key, reason=reason)
        if response.status_code >= 400:
            raise ApiProblem(response)
        return response.json() if response.content else None

    async def register(self, email: str, full_name: str, *, password: str = PASSWORD) -> Self:
        """Register at the LMS through the gateway."""
        self._sign_in(
            await self.call(
                "POST",
                "/v1/auth/register",
                {"email": email, "password": password, "full_name": full_name},
            )
        )
        return self

    async def login(self, username: str, *, password: str = PASSWORD) -> Self:
        """Log in at the LMS through the gateway."""
        self._sign_in(await self.call("POST", "/v1/auth/login", {"username": username, "password": password}))
        return self

    def _sign_in(self, answer: dict[str, Any]) -> None:
        self.token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        self.user = answer["user"]

    async def item(self, slug: str) -> dict[str, Any]:
        """A catalogue item by slug or id."""
        found: dict[str, Any] = await self.call("GET", f"/v1/catalog/items/{slug}")
        return found

    async def add(self, slug: str, *, currency: str | None = None) -> dict[str, Any]:
        """Put an item into the cart."""
        body: dict[str, Any] = {"item_id": (await self.item(slug))["id"], "quantity": 1}
        if currency is not None:
            body["currency"] = currency
        cart: dict[str, Any] = await self.call("POST", "/v1/cart/items", body)
        return cart

    async def promo(self, code: str) -> dict[str, Any]:
        """Use a promotion code."""
        cart: dict[str, Any] = await self.call("PUT", "/v1/cart/promo", {"code": code})
        return cart

    async def checkout(
        self, *, address: dict[str, Any] | None = None, key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Check the cart out."""
        answer: dict[str, Any] = await self.call(
            "POST", "/v1/checkout", {"billing_address": address or US_ADDRESS, **more}, key=key
        )
        return answer

    async def order(self, order_id: str) -> dict[str, Any]:
        """One order."""
        order: dict[str, Any] = await self.call("GET", f"/v1/orders/{order_id}")
        return order

    async def wait_for_status(self, order_id: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
        """The order, once it has one of these statuses."""
        return await wait_for(
            lambda: self.order(order_id),
            lambda order: order["status"] in statuses,
            seconds=seconds,
            what=f"status {' or '.join(statuses)}",
        )

    async def refund(
        self, order_id: str, reason: str = "asked by the learner", **more: Any
    ) -> dict[str, Any]:
        """Ask for a refund."""
        answer: dict[str, Any] = await self.call(
            "POST", f"/v1/orders/{order_id}/refunds", {"reason": reason, **more}
        )
        refund: dict[str, Any] = answer["refund"]
        return refund

    async def timeline(self, order_id: str) -> list[dict[str, Any]]:
        """What happened to the order."""
        answer: dict[str, Any] = await self.call("GET", f"/v1/orders/{order_id}/timeline")
        events: list[dict[str, Any]] = answer["data"]
        return events
