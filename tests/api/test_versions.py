"""A change of what somebody else changed meanwhile is refused; what a caller has already is not sent again.

Every operation of the OpenAPI document that takes `If-Match` or `If-None-Match` is tried; every PATCH has to.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.main import create_app
from config import Settings
from tests.api.callers import Caller, Gateway


@dataclass(frozen=True)
class Object:
    """Something to change: who does it, where it is read, and the change."""

    caller: Caller
    read: str
    path: str
    body: Any = None


async def item(gateway: Gateway) -> Object:
    path = f"/v1/catalog/items/{(await gateway.item())['id']}"
    return Object(gateway.operator, path, path, {"title": "Better"})


async def promotion(gateway: Gateway) -> Object:
    path = f"/v1/promotions/{(await gateway.promotion())['id']}"
    return Object(gateway.operator, path, path, {"active": False})


async def affiliate(gateway: Gateway) -> Object:
    body = {"code": f"of-{(await gateway.person()).lms_user_id}", "payee_ref": "aff:1"}
    path = f"/v1/affiliates/{(await gateway.operator.ok('POST', '/v1/affiliates', body))['id']}"
    return Object(gateway.operator, path, path, {"active": False})


async def endpoint(gateway: Gateway, suffix: str = "", body: Any = None) -> Object:
    made = {"url": "https://receiver.example/hooks", "event_types": ["order.paid"]}
    path = f"/v1/webhook-endpoints/{(await gateway.operator.ok('POST', '/v1/webhook-endpoints', made))['id']}"
    return Object(gateway.operator, path, path + suffix, body)


async def cart(gateway: Gateway, path: str, body: Any = None) -> Object:
    learner = await gateway.person()
    line = (await learner.add("python-101"))["lines"][0]
    return Object(learner, "/v1/cart", path.format(**line), body)


async def adding(gateway: Gateway) -> Object:
    found = await cart(gateway, "/v1/cart/items")
    other = await gateway.item()
    return Object(found.caller, found.read, found.path, {"item_id": other["id"]})


Make = Callable[[Gateway], Awaitable[Object]]

CHANGES: dict[str, Make] = {
    "change_item": item,
    "change_promotion": promotion,
    "change_affiliate": affiliate,
    "change_webhook_endpoint": lambda gateway: endpoint(gateway, body={"description": "Other"}),
    "delete_webhook_endpoint": endpoint,
    "rotate_webhook_secret": lambda gateway: endpoint(gateway, "/rotate-secret"),
    "add_cart_item": adding,
    "change_cart_item": lambda gateway: cart(gateway, "/v1/cart/items/{id}", {"quantity": 0}),
    "remove_cart_item": lambda gateway: cart(gateway, "/v1/cart/items/{id}"),
    "set_promo": lambda gateway: cart(gateway, "/v1/cart/promo", {"code": "WELCOME10"}),
    "clear_promo": lambda gateway: cart(gateway, "/v1/cart/promo"),
}
READS: dict[str, Make] = {
    "get_item": item,
    "get_promotion": promotion,
    "get_affiliate": affiliate,
    "get_webhook_endpoint": endpoint,
    "get_cart": lambda gateway: cart(gateway, "/v1/cart"),
}
PDFS = {"get_document", "get_receipt", "get_credit_note"}  # tests/e2e/test_documents.py


@pytest.fixture(scope="module")
def methods(environment: dict[str, str]) -> dict[str, tuple[str, set[str]]]:
    """Method and headers of each operation of the document."""
    app = create_app(Settings.model_validate({name.lower(): value for name, value in environment.items()}))
    return {
        operation["operationId"]: (
            method.upper(),
            {
                parameter["name"]
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "header"
            },
        )
        for path in app.openapi()["paths"].values()
        for method, operation in path.items()
    }


def test_every_patch_takes_a_version_and_every_version_is_tried(
    methods: dict[str, tuple[str, set[str]]],
) -> None:
    assert {name for name, (method, _) in methods.items() if method == "PATCH"} <= set(CHANGES)
    assert {name for name, (_, headers) in methods.items() if "If-Match" in headers} == set(CHANGES)
    assert {name for name, (_, headers) in methods.items() if "If-None-Match" in headers} == set(READS) | PDFS


async def tag_of(found: Object) -> str:
    return str((await found.caller.send("GET", found.read)).headers["ETag"])


@pytest.mark.parametrize("name", CHANGES)
async def test_a_stale_change_is_refused_and_changes_nothing(
    gateway: Gateway, methods: dict[str, tuple[str, set[str]]], name: str
) -> None:
    found, method = await CHANGES[name](gateway), methods[name][0]
    before = await found.caller.send("GET", found.read)
    tag = before.headers["ETag"]
    version = tag.strip('"').partition(".")[0]
    stale = (
        '"another"',
        'W/"another"',
        '"a", W/"b", "c,d"',
        "",
        version,
        f'"{version}',
        '"*"',
        f'"{version}0"',
    )
    for given in stale:
        headers = {"If-Match": given}
        assert await found.caller.refused(method, found.path, found.body, headers=headers) == (
            412,
            "precondition_failed",
        ), given
    assert (await found.caller.send("GET", found.read)).headers["ETag"] == tag
    await found.caller.ok(method, found.path, found.body)
    late = await found.caller.send(method, found.path, found.body, headers={"If-Match": tag})
    # What was deleted meanwhile is changed no more in any case.
    assert late.status_code == 412, late.text


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_what_was_read_is_made(
    gateway: Gateway, methods: dict[str, tuple[str, set[str]]], name: str
) -> None:
    for form in ("{tag}", "W/{tag}", '"x,y" , W/"z",W/{tag}', "*", " * ", '"{version}"'):
        found = await CHANGES[name](gateway)
        tag = await tag_of(found)
        given = form.format(tag=tag, version=tag.strip('"').partition(".")[0])
        answer = await found.caller.send(
            methods[name][0], found.path, found.body, headers={"If-Match": given}
        )
        assert answer.status_code < 300, (given, answer.text)


async def read(found: Object, *tags: str) -> httpx.Response:
    """With a line of `If-None-Match` for each."""
    headers = [("Authorization", f"Bearer {found.caller.token}"), *(("If-None-Match", tag) for tag in tags)]
    return await found.caller.http.get(found.read, headers=headers)


@pytest.mark.parametrize("name", READS)
async def test_what_the_caller_has_is_not_sent_again(gateway: Gateway, name: str) -> None:
    found = await READS[name](gateway)
    first = await read(found)
    tag = first.headers["ETag"]
    for known in ((tag,), (f"W/{tag}",), (f'"x,y" , W/"z",{tag}',), ("*",), ('"x"', tag)):
        again = await read(found, *known)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), known
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    version = tag.strip('"').partition(".")[0]
    for other in ('"x"', f'"{version}"', tag.strip('"'), "", '"*"'):
        again = await read(found, other)
        assert (again.status_code, again.content) == (200, first.content), other


async def test_seats_are_news_and_no_conflict(gateway: Gateway) -> None:
    """A seat that was sold makes a reader's copy old, and an operator's change no other."""
    seminar = await gateway.item(type="registration", capacity=5)
    found = Object(gateway.operator, f"/v1/catalog/items/{seminar['id']}", "")
    tag = await tag_of(found)
    assert (await read(found, tag)).status_code == 304
    async with gateway.services.database.transaction() as session:
        await session.execute(
            text("UPDATE catalog_item SET seats_taken = seats_taken + 1 WHERE id = :id"),
            {"id": seminar["id"]},
        )
    news = await read(found, tag)
    assert (news.status_code, news.json()["seats_left"]) == (200, 4)
    await gateway.operator.ok("PATCH", found.read, {"title": "Better"}, headers={"If-Match": tag})


async def test_an_operators_view_is_no_copy_of_a_learners(gateway: Gateway) -> None:
    made = (await gateway.item())["id"]
    views = [
        Object(who, f"/v1/catalog/items/{made}", "") for who in (gateway.operator, await gateway.person())
    ]
    tags = [await tag_of(view) for view in views]
    assert [(await read(view, tag)).status_code for view, tag in zip(views, tags, strict=True)] == [304, 304]
    assert (await read(views[1], tags[0])).json()["payees"] is None
