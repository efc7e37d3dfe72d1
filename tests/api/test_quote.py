"""The quote: totals with tax by line, for an address. And text and ids that are none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.api.callers import Gateway, usd

GERMANY, NEW_YORK = {"country": "DE"}, {"country": "US", "state": "NY", "postal_code": "10001"}


async def quoted(gateway: Gateway, address: dict[str, Any], *slugs: str, **more: Any) -> Any:
    """The quote of a new learner's cart with these items."""
    learner = await gateway.person()
    for slug in slugs:
        await learner.add(slug, **({"currency": more["currency"]} if "currency" in more else {}))
    if "code" in more:
        await learner.ok("PUT", "/v1/cart/promo", {"code": more["code"]})
    return await learner.ok("POST", "/v1/checkout/quote", {"billing_address": address})


def figures(quote: Any) -> tuple[int, int, int, int]:
    totals = quote["totals"]
    subtotal, discount, tax, total = (
        totals[name]["amount"] for name in ("subtotal", "discount", "tax", "total")
    )
    assert subtotal - discount + tax == total
    assert sum(line["total"]["amount"] for line in quote["lines"]) == total
    assert all(line["total"]["amount"] >= 0 for line in quote["lines"])
    return subtotal, discount, tax, total


async def test_tax_comes_on_top_by_the_address(gateway: Gateway) -> None:
    for address, ppm, jurisdiction in ((GERMANY, 190_000, "DE"), (NEW_YORK, 40_000, "US-NY")):
        quote = await quoted(gateway, address, "python-101")
        tax = 9900 * ppm // 1_000_000
        assert figures(quote) == (9900, 0, tax, 9900 + tax)
        assert quote["lines"][0]["taxes"] == [
            {"jurisdiction": jurisdiction, "rate_ppm": ppm, "amount": usd(tax)}
        ]


@pytest.mark.parametrize(
    ("address", "tax"),
    [
        ({"country": "US", "state": "US-NY"}, 396),
        ({"country": "US"}, 0),
        ({"country": "US", "state": "TX"}, 0),
        ({"country": "BR"}, 0),
        ({"country": "FI"}, 2525),
    ],
)
async def test_places_and_their_tax(gateway: Gateway, address: dict[str, Any], tax: int) -> None:
    assert figures(await quoted(gateway, address, "python-101")) == (9900, 0, tax, 9900 + tax)


async def test_an_inclusive_price_holds_its_tax(gateway: Gateway) -> None:
    course = await gateway.item(tax_behavior="inclusive", prices=[usd(11_900)])
    learner = await gateway.person()
    cart = await learner.add(course["slug"])
    assert cart["totals"]["total"] == usd(11_900)
    quote = await learner.ok("POST", "/v1/checkout/quote", {"billing_address": GERMANY})
    assert figures(quote) == (10_000, 0, 1900, 11_900)


async def test_a_discount_comes_before_tax(gateway: Gateway) -> None:
    quote = await quoted(gateway, GERMANY, "python-101", code="WELCOME10")
    assert figures(quote) == (9900, 990, 1693, 10_603)
    free = await quoted(gateway, GERMANY, "python-101", "data-science", code="FREE100")
    assert figures(free) == (24_800, 24_800, 0, 0)


async def test_a_bundle_is_quoted_by_its_parts(gateway: Gateway) -> None:
    quote = await quoted(gateway, GERMANY, "career-bundle", code="TAKE5")
    assert figures(quote)[:2] == (24_900, 500)
    assert len(quote["lines"]) == 3
    bundle = await gateway.nobody().ok("GET", "/v1/catalog/items/career-bundle")
    assert {line["bundle_id"] for line in quote["lines"]} == {bundle["id"]}
    assert {line["item_id"] for line in quote["lines"]} == set(bundle["members"])
    assert sum(line["list_price"]["amount"] for line in quote["lines"]) == 24_900


async def test_a_promotion_of_a_bundle_is_for_its_parts_alone(gateway: Gateway) -> None:
    bundle = await gateway.nobody().ok("GET", "/v1/catalog/items/career-bundle")
    promotion = await gateway.promotion(item_ids=[bundle["id"]], percent_bp=5000)
    quote = await quoted(gateway, GERMANY, "career-bundle", "intro-free", code=promotion["code"])
    assert figures(quote)[:2] == (24_900, 12_450)


async def test_currencies_of_zero_and_three_decimals(gateway: Gateway) -> None:
    yen = await quoted(gateway, {"country": "JP"}, "japanese-basics", currency="JPY", code="WELCOME10")
    assert figures(yen) == (12_000, 1200, 1080, 11_880)
    dinar = await quoted(gateway, GERMANY, "data-science", currency="KWD", code="WELCOME10")
    assert figures(dinar) == (45_500, 4550, 7780, 48_730)


async def test_an_empty_cart_has_a_quote_of_nothing(gateway: Gateway) -> None:
    assert figures(await quoted(gateway, GERMANY)) == (0, 0, 0, 0)


async def test_a_quote_needs_no_key_and_says_what_is_wrong(gateway: Gateway) -> None:
    learner = await gateway.person()
    course = await gateway.item()
    await learner.add(course["slug"])
    await gateway.operator.ok("PATCH", f"/v1/catalog/items/{course['id']}", {"available": False})
    answer = await gateway.http.post(
        "/v1/checkout/quote",
        json={"billing_address": GERMANY},
        headers={"Authorization": f"Bearer {learner.token}"},
    )
    assert answer.status_code == 200
    assert [problem["code"] for problem in answer.json()["problems"]] == ["item_unavailable"]


@pytest.mark.parametrize(
    "address",
    [
        {},
        {"country": "de"},
        {"country": "DEU"},
        {"country": "DE", "state": "a state"},
        {"country": "DE", "city": "a\x00b"},
        {"country": "DE", "city": "x" * 501},
        {"country": "DE", "planet": "Earth"},
        {"country": None},
    ],
)
async def test_an_address_out_of_form_is_refused(gateway: Gateway, address: dict[str, Any]) -> None:
    learner = await gateway.person()
    refusal = await learner.refused("POST", "/v1/checkout/quote", {"billing_address": address})
    assert refusal == (422, "invalid_request")


async def test_half_a_character_is_refused(gateway: Gateway) -> None:
    learner = await gateway.person()
    headers = {"Authorization": f"Bearer {learner.token}", "Content-Type": "application/json"}
    for path, body in (
        ("/v1/checkout/quote", rb'{"billing_address": {"country": "DE", "city": "\ud800"}}'),
        ("/v1/auth/login", rb'{"username": "\ud800", "password": "\ud800"}'),
        ("/v1/auth/refresh", rb'{"refresh_token": "\ud800"}'),
    ):
        answer = await gateway.http.post(path, content=body, headers=headers)
        assert answer.status_code == 422, (path, answer.text)
    answer = await gateway.http.put(
        "/v1/cart/promo", content=rb'{"code": "\ud800"}', headers=headers | {"Idempotency-Key": "k"}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "path", ["/v1/catalog/items", "/v1/promotions", "/v1/split-rules", "/v1/ledger/journals"]
)
async def test_lists_refuse_limits_and_cursors_that_are_none(gateway: Gateway, path: str) -> None:
    for limit in (0, 101, -1, "ten"):
        assert await gateway.operator.refused("GET", path, limit=limit) == (422, "invalid_request")
    for cursor in ("nonsense", "!!!!", "ä", "AAAA", "%00"):
        assert await gateway.operator.refused("GET", path, cursor=cursor) == (422, "invalid_cursor")
    assert (await gateway.operator.send("GET", path, limit=100)).status_code == 200


def rate(**changes: Any) -> dict[str, Any]:
    """A version that begins today."""
    today = datetime.now(UTC).date()
    body = {"country": "AD", "rate_ppm": 45_000, "valid_from": today.isoformat(), "source": "a test of today"}
    return body | changes


async def test_an_operator_enters_a_rate_and_it_is_charged_from_its_day_on(gateway: Gateway) -> None:
    learner = await gateway.person()
    await learner.add((await gateway.item())["id"])

    async def tax() -> int:
        quote = await learner.ok("POST", "/v1/checkout/quote", {"billing_address": {"country": "AD"}})
        return int(quote["totals"]["tax"]["amount"])

    assert await tax() == 0
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    made = await gateway.operator.ok("POST", "/v1/tax-rates", rate())
    later = await gateway.operator.ok(
        "POST", "/v1/tax-rates", rate(valid_from=tomorrow.isoformat(), rate_ppm=0)
    )
    assert (made["jurisdiction"], made["state"], made["tax_code"]) == ("AD", None, None)
    charged = await tax()
    assert charged > 0
    of_code = rate(tax_code="txcd_99999999", rate_ppm=900_000)
    await gateway.operator.ok("POST", "/v1/tax-rates", of_code)
    assert await tax() == charged, "another kind of goods"

    async def listed(**query: str) -> list[dict[str, Any]]:
        found = await gateway.operator.ok("GET", "/v1/tax-rates", country="AD", **query)
        return list(found["data"])

    assert [one["rate_ppm"] for one in await listed(on=made["valid_from"])] == [900_000, 45_000]
    assert later in await listed(on=str(tomorrow))
    assert made not in await listed(on=str(tomorrow))
    assert len(await listed()) == 3
    logged = (await gateway.operator.ok("GET", "/v1/audit", limit=10))["data"]
    assert {made["id"], later["id"]} <= {name for entry in logged for name in entry["objects"]}


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"valid_from": "2026-01-01"}, (422, "tax_rate_invalid")),
        ({"valid_to": "2000-01-01"}, (422, "invalid_request")),
        ({"rate_ppm": 1_000_001}, (422, "invalid_request")),
        ({"rate_ppm": 19.5}, (422, "invalid_request")),
        ({"rate_ppm": -1}, (422, "invalid_request")),
        ({"country": "Germany"}, (422, "invalid_request")),
        ({"jurisdiction": "FR"}, (422, "invalid_request")),
        ({"jurisdiction": "DE-RC"}, (422, "invalid_request")),
        ({"source": ""}, (422, "invalid_request")),
        ({"id": "x"}, (422, "invalid_request")),
    ],
    ids=str,
)
async def test_a_rate_that_cannot_be_is_refused(
    gateway: Gateway, changes: dict[str, Any], refusal: tuple[int, str]
) -> None:
    before = await gateway.operator.ok("GET", "/v1/tax-rates", limit=1)
    assert await gateway.operator.refused("POST", "/v1/tax-rates", rate(country="DE") | changes) == refusal
    assert await gateway.operator.ok("GET", "/v1/tax-rates", limit=1) == before


async def test_a_version_is_never_edited(gateway: Gateway) -> None:
    await gateway.operator.ok("POST", "/v1/tax-rates", rate(country="SM"))
    again = await gateway.operator.refused("POST", "/v1/tax-rates", rate(country="SM", rate_ppm=1))
    assert again == (409, "tax_rate_exists")
    with pytest.raises(DBAPIError, match="permission denied"):
        async with gateway.services.database.transaction() as session:
            await session.execute(text("UPDATE tax_rate SET ppm = 1 WHERE country = 'SM'"))
    learner = await gateway.person()
    assert await learner.refused("POST", "/v1/tax-rates", rate()) == (403, "forbidden")
    assert await learner.refused("GET", "/v1/tax-rates") == (403, "forbidden")
