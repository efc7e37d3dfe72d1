"""The catalogue: what anybody reads, what operators change."""

import uuid
from typing import Any

import pytest

from tests.api.callers import Gateway, usd

FUTURE, PAST = "2100-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


async def slugs(gateway: Gateway, **params: Any) -> list[str]:
    """All pages, newest first."""
    found: list[str] = []
    while True:
        page = await gateway.nobody().ok("GET", "/v1/catalog/items", limit=3, **params)
        assert len(page["data"]) <= 3
        found += [item["slug"] for item in page["data"]]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


async def test_anybody_reads_the_catalogue_page_by_page(gateway: Gateway) -> None:
    made = [(await gateway.item())["slug"] for _ in range(4)]
    found = await slugs(gateway)
    assert found[:4] == made[::-1]
    assert len(found) == len(set(found))
    assert {"python-101", "intro-free", "career-bundle", "live-workshop-2027"} <= set(found)


async def test_the_list_is_narrowed_by_type_words_and_currency(gateway: Gateway) -> None:
    assert await slugs(gateway, type="bundle", currency="EUR") == ["career-bundle"]
    assert await slugs(gateway, currency="KWD") == ["data-science"]
    assert await slugs(gateway, q="HIRAGANA") == ["japanese-basics"]
    assert await slugs(gateway, q="100%_of nothing") == []


async def test_an_item_is_found_by_id_and_by_slug(gateway: Gateway) -> None:
    by_slug = await gateway.nobody().ok("GET", "/v1/catalog/items/live-workshop-2027")
    assert by_slug == await gateway.nobody().ok("GET", f"/v1/catalog/items/{by_slug['id']}")
    assert (by_slug["type"], by_slug["capacity"], by_slug["seats_left"]) == ("registration", 20, 20)
    bundle = await gateway.nobody().ok("GET", "/v1/catalog/items/career-bundle")
    assert (bundle["lms_course_id"], len(bundle["members"])) == (None, 3)


@pytest.mark.parametrize(
    "key", ["nothing", "%00", "0197c0de-0000-7000-8000-000000000000", "a" * 3000, "%ff%fe", "' OR 1=1 --"]
)
async def test_what_does_not_exist_is_not_found(gateway: Gateway, key: str) -> None:
    assert await gateway.nobody().refused("GET", f"/v1/catalog/items/{key}") == (404, "not_found")


async def test_operators_see_how_an_item_is_sold(gateway: Gateway) -> None:
    shown = await gateway.operator.ok("GET", "/v1/catalog/items/data-science")
    assert shown["payees"] == ["lms:102", "lms:103"]
    assert (shown["recognition"], shown["presentation"]) == ("on_completion", "principal")
    learner = await gateway.person()
    for reader in (learner, gateway.nobody()):
        seen = await reader.ok("GET", "/v1/catalog/items/data-science")
        assert (seen["payees"], seen["recognition"], seen["presentation"]) == (None, None, None)


async def test_a_new_item_is_answered_with_its_version(gateway: Gateway) -> None:
    body = {
        "slug": f"new-{uuid.uuid4().hex}",
        "type": "registration",
        "title": "Seminar",
        "lms_course_id": "live-workshop-2027",
        "prices": [usd(5000), {"amount": 4500, "currency": "EUR"}],
        "capacity": 3,
        "tax_code": "txcd_20060158",
        "refund_window_days": 7,
        "available_from": FUTURE,
    }
    answer = await gateway.operator.send("POST", "/v1/catalog/items", body)
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in ("slug", "prices", "capacity", "refund_window_days")} == {
        name: body[name] for name in ("slug", "prices", "capacity", "refund_window_days")
    }
    assert (made["available"], made["seats_left"]) == (False, 3)
    read = await gateway.operator.send("GET", f"/v1/catalog/items/{made['id']}")
    assert read.headers["ETag"] == answer.headers["ETag"]


async def test_a_slug_is_taken_once(gateway: Gateway) -> None:
    item = await gateway.item()
    body = {
        "slug": item["slug"],
        "type": "course",
        "title": "Again",
        "lms_course_id": "x",
        "prices": [usd(1)],
        "tax_code": "t",
    }
    assert await gateway.operator.refused("POST", "/v1/catalog/items", body) == (409, "slug_taken")


BASE: dict[str, Any] = {
    "slug": "never-made",
    "type": "course",
    "title": "Never made",
    "lms_course_id": "never",
    "prices": [usd(100)],
    "tax_code": "t",
}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "bundle"},
        {"type": "bundle", "lms_course_id": None},
        {"type": "registration"},
        {"capacity": 10},
        {"lms_course_id": None},
        {"members": [str(uuid.uuid4())]},
        {"prices": []},
        {"prices": [usd(1), usd(2)]},
        {"prices": [usd(-1)]},
        {"prices": [{"amount": 1.5, "currency": "USD"}]},
        {"prices": [{"amount": "1", "currency": "USD"}]},
        {"prices": [{"amount": 10**13, "currency": "USD"}]},
        {"slug": "With Spaces"},
        {"title": "a\x00b"},
        {"title": "t" * 301},
        {"seats_taken": 5},
        {"available_from": "yesterday"},
        {"available_from": "2026-01-01T00:00:00"},
    ],
)
async def test_an_item_out_of_form_is_refused(gateway: Gateway, change: dict[str, Any]) -> None:
    refusal = await gateway.operator.refused("POST", "/v1/catalog/items", BASE | change)
    assert refusal == (422, "invalid_request")


async def test_a_bundle_holds_items_that_are_sold_in_its_currencies(gateway: Gateway) -> None:
    course, other = await gateway.item(), await gateway.item()
    bundle = {"type": "bundle", "lms_course_id": None, "prices": [usd(15_000)]}
    made = await gateway.item(**bundle, members=[course["id"], other["id"]])
    assert made["members"] == [course["id"], other["id"]]
    euros = {**bundle, "prices": [usd(15_000), {"amount": 1, "currency": "EUR"}]}
    for change in (
        {**bundle, "members": [course["id"], course["id"]]},
        {**bundle, "members": [course["id"], str(uuid.uuid4())]},
        {**bundle, "members": [course["id"], "no id"]},
        {**bundle, "members": [made["id"]]},
        {**euros, "members": [course["id"], other["id"]]},
    ):
        body = BASE | {"slug": f"b-{uuid.uuid4().hex}"} | change
        assert await gateway.operator.refused("POST", "/v1/catalog/items", body) == (422, "invalid_members")


async def test_a_change_of_prices_leaves_bundles_divisible(gateway: Gateway) -> None:
    course = await gateway.item()
    bundle = await gateway.item(type="bundle", lms_course_id=None, members=[course["id"]])
    euros = {"prices": [{"amount": 100, "currency": "EUR"}]}
    for item in (course, bundle):
        refusal = await gateway.operator.refused("PATCH", f"/v1/catalog/items/{item['id']}", euros)
        assert refusal == (422, "invalid_members")
        after = await gateway.nobody().ok("GET", f"/v1/catalog/items/{item['id']}")
        assert after["prices"] == item["prices"]
    both = {"prices": [usd(1), {"amount": 100, "currency": "EUR"}]}
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{course['id']}", both)
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{bundle['id']}", both)


async def test_a_change_of_what_was_read_succeeds_and_a_stale_one_does_not(gateway: Gateway) -> None:
    item = await gateway.item()
    path = f"/v1/catalog/items/{item['id']}"
    tag = (await gateway.nobody().send("GET", path)).headers["ETag"]
    changed = await gateway.operator.send("PATCH", path, {"title": "Better"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["title"]) == (200, "Better")
    assert changed.headers["ETag"] != tag
    for stale in (tag, '"something else"', "v1"):
        refusal = await gateway.operator.refused(
            "PATCH", path, {"title": "Late"}, headers={"If-Match": stale}
        )
        assert refusal == (412, "precondition_failed")
    for good in (f'"x", W/{changed.headers["ETag"]}', "*"):
        answer = await gateway.operator.send("PATCH", path, {}, headers={"If-Match": good})
        assert answer.status_code == 200


async def test_null_clears_a_limit_and_leaves_what_an_item_needs(gateway: Gateway) -> None:
    item = await gateway.item(available_until=PAST, refund_window_days=3)
    assert item["available"] is False
    path = f"/v1/catalog/items/{item['id']}"
    changed = await gateway.operator.ok(
        "PATCH", path, {"available_until": None, "refund_window_days": None, "title": None}
    )
    assert (changed["available"], changed["refund_window_days"]) == (True, None)
    assert changed["title"] == item["title"]


async def test_capacity_is_a_registrations_and_no_lower_than_its_taken_seats(gateway: Gateway) -> None:
    course = await gateway.item()
    path = f"/v1/catalog/items/{course['id']}"
    assert await gateway.operator.refused("PATCH", path, {"capacity": 5}) == (422, "invalid_request")
    seminar = await gateway.item(type="registration", capacity=2)
    async with gateway.services.database.transaction() as session:
        from models.queries import catalog

        assert await catalog.take_seat(session, seminar["id"])
    path = f"/v1/catalog/items/{seminar['id']}"
    assert await gateway.operator.refused("PATCH", path, {"capacity": 0}) == (422, "capacity_below_taken")
    assert (await gateway.operator.ok("PATCH", path, {"capacity": 1}))["seats_left"] == 0


async def test_what_is_off_sale_is_listed_for_operators_only(gateway: Gateway) -> None:
    item = await gateway.item()
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{item['id']}", {"available": False})
    assert item["slug"] not in await slugs(gateway)
    page = await gateway.operator.ok("GET", "/v1/catalog/items", limit=1)
    assert (page["data"][0]["slug"], page["data"][0]["available"]) == (item["slug"], False)


async def test_only_operators_change_the_catalogue(gateway: Gateway) -> None:
    item = await gateway.item()
    path = f"/v1/catalog/items/{item['id']}"
    for role in ("learner", "instructor", "service"):
        caller = await gateway.person(role)
        assert await caller.refused("PATCH", path, {"title": "Mine"}) == (403, "forbidden")
        assert await caller.refused("POST", "/v1/catalog/items", BASE) == (403, "forbidden")
    assert await gateway.nobody().refused("PATCH", path, {}) == (401, "unauthenticated")
    for unknown in (str(uuid.uuid4()), "no-id"):
        refusal = await gateway.operator.refused("PATCH", f"/v1/catalog/items/{unknown}", {})
        assert refusal == (404, "not_found")
