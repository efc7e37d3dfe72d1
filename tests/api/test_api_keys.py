"""Keys of machines: made, used, limited to their scopes, revoked; only their hashes are kept."""

import json
import uuid

import pytest
from sqlalchemy import text

from api.tokens import new_api_key
from tests.api.callers import Caller, Gateway
from tests.api.commands import Commands

ENDPOINT = {"url": "https://receiver.example/hooks", "event_types": ["order.paid"]}


async def test_a_key_is_made_used_listed_and_revoked(gateway: Gateway, commands: Commands) -> None:
    made = await commands.create("webhooks:write, webhooks:read")
    assert made["key"].startswith("ck_")
    assert made["scopes"] == ["webhooks:read", "webhooks:write"]
    machine = Caller(gateway.http, made["key"])
    (before,) = json.loads(await commands.run("apikey", "list", "--json"))
    assert before["last_used_at"] is None
    endpoint = await machine.ok("POST", "/v1/webhook-endpoints", ENDPOINT)
    assert (await machine.ok("GET", f"/v1/webhook-endpoints/{endpoint['id']}"))["url"] == ENDPOINT["url"]
    (after,) = json.loads(await commands.run("apikey", "list", "--json"))
    assert after["last_used_at"] is not None
    assert made["key"] not in json.dumps(after)
    listed = await commands.run("apikey", "list")
    assert made["id"] in listed
    assert made["key"] not in listed

    await commands.run("apikey", "revoke", made["id"])
    refusal = (401, "unauthenticated")
    assert await machine.refused("GET", "/v1/webhook-endpoints") == refusal
    assert await machine.refused("POST", "/v1/webhook-endpoints", ENDPOINT) == refusal


async def test_a_key_is_nowhere_but_with_its_owner(gateway: Gateway, commands: Commands) -> None:
    made = await commands.create("ledger:read")
    await Caller(gateway.http, made["key"]).ok("GET", "/v1/ledger/accounts")
    async with gateway.services.database.transaction() as session:
        rows = (await session.execute(text("SELECT * FROM api_key"))).all()
    assert made["key"] not in str(rows)
    secret = made["key"].removeprefix("ck_")
    assert secret not in str(rows)


async def test_an_expired_key_is_refused(gateway: Gateway, commands: Commands) -> None:
    made = await commands.create("ledger:read", "--days", "1")
    machine = Caller(gateway.http, made["key"])
    await machine.ok("GET", "/v1/ledger/accounts")
    (row,) = [
        key for key in json.loads(await commands.run("apikey", "list", "--json")) if key["id"] == made["id"]
    ]
    assert row["expires_at"] is not None
    other = await gateway.machine("ledger:read")
    async with gateway.services.database.transaction() as session:
        key, key_hash, hint = new_api_key()
        await session.execute(
            text(
                "INSERT INTO api_key (name, hint, key_hash, scopes, expires_at) "
                "VALUES ('old', :hint, :hash, '{ledger:read}', now())"
            ),
            {"hint": hint, "hash": key_hash},
        )
    assert await Caller(gateway.http, key).refused("GET", "/v1/ledger/accounts") == (401, "unauthenticated")
    await other.ok("GET", "/v1/ledger/accounts")


async def test_scopes_are_fixed_when_a_key_is_made(gateway: Gateway) -> None:
    machine = await gateway.machine("ledger:read")
    with pytest.raises(Exception, match="permission denied"):
        async with gateway.services.database.transaction() as session:
            await session.execute(
                text("UPDATE api_key SET scopes = '{webhooks:write}' WHERE id = :id"), {"id": machine.user_id}
            )


@pytest.mark.parametrize("scopes", ["", ",", "everything", "ledger:write", "ledger:read,nothing"])
async def test_an_unknown_scope_makes_no_key(commands: Commands, scopes: str) -> None:
    assert "ledger:read" in await commands.run(
        "apikey", "create", "--name", "ERP", "--scopes", scopes, code=1
    )


@pytest.mark.parametrize("key_id", ["nothing", "00000000-0000-7000-8000-000000000000"])
async def test_revoking_no_key_fails(commands: Commands, key_id: str) -> None:
    await commands.run("apikey", "revoke", key_id, code=1)


READS = {
    "/v1/orders": "orders:read",
    "/v1/payments": "orders:read",
    "/v1/entitlements": "orders:read",
    "/v1/earnings/payouts": "earnings:read",
    "/v1/ledger/accounts": "ledger:read",
    "/v1/promotions": "promotions:read",
    "/v1/webhook-endpoints": "webhooks:read",
}


async def test_a_scope_opens_its_routes_and_no_other(gateway: Gateway) -> None:
    scopes = sorted(set(READS.values()))
    for scope in scopes:
        machine = await gateway.machine(scope)
        for path, needed in READS.items():
            answer = await machine.send("GET", path)
            assert answer.status_code == (200 if needed == scope else 403), (scope, path, answer.text)
    everything = await gateway.machine(*scopes, "catalog:write", "promotions:write", "webhooks:write")
    for method, path in (
        ("GET", "/v1/me"),
        ("GET", "/v1/cart"),
        ("GET", "/v1/dashboard"),
        ("GET", "/v1/split-rules"),
        ("POST", f"/v1/orders/{uuid.uuid4()}/cancel"),
    ):
        assert await everything.refused(method, path) == (403, "forbidden"), path


async def test_a_machine_writes_under_idempotency_keys_of_its_own(gateway: Gateway) -> None:
    machine, other = await gateway.machine("promotions:write"), await gateway.machine("promotions:write")
    body = {"code": f"M-{uuid.uuid4().hex[:8]}", "kind": "percent", "percent_bp": 500}
    key = str(uuid.uuid4())
    first = await machine.send("POST", "/v1/promotions", body, key=key)
    again = await machine.send("POST", "/v1/promotions", body, key=key)
    assert (first.status_code, again.content) == (201, first.content)
    assert await other.refused("POST", "/v1/promotions", body, key=key) == (409, "code_taken")


async def test_no_token_of_a_person_makes_a_machine(gateway: Gateway) -> None:
    """Were the role taken from a token, it would have to be believed without scopes."""
    claimant = await gateway.person("learner", "service")
    assert await claimant.refused("GET", "/v1/webhook-endpoints") == (403, "forbidden")
    await claimant.ok("GET", "/v1/cart")


@pytest.mark.parametrize("token", ["ck_", "ck_x", "ck_" + "a" * 43, "ck_" + "a" * 5000, "CK_" + "a" * 43])
async def test_an_invented_key_opens_nothing(gateway: Gateway, token: str) -> None:
    assert await Caller(gateway.http, token).refused("GET", "/v1/webhook-endpoints") == (
        401,
        "unauthenticated",
    )


async def test_the_document_says_who_may_do_what(gateway: Gateway) -> None:
    document = await gateway.nobody().ok("GET", "/openapi.json")
    assert set(document["components"]["securitySchemes"]) == {"person", "machine"}
    paths = document["paths"]
    assert paths["/v1/webhook-endpoints"]["post"]["security"] == [
        {"person": ["operator"]},
        {"machine": ["webhooks:write"]},
    ]
    assert paths["/v1/me"]["get"]["security"] == [{"person": []}]
    assert paths["/v1/auth/login"]["post"]["security"] == []
    assert "409" in paths["/v1/webhook-endpoints"]["post"]["responses"]
    assert "Idempotency-Key" in str(paths["/v1/webhook-endpoints"]["post"]["parameters"])
