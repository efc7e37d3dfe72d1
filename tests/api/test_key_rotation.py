"""Keys change while the product runs: what the old one made stays good until the old key is taken out."""

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from api.main import create_app
from api.tokens import TokenIssuer, parse_signing_keys
from config import Settings
from devstack.credentials import Credentials
from tests.api.callers import Caller, Gateway

MakeGateway = Callable[..., Awaitable[Gateway]]
OLD, NEW = Credentials.generate(), Credentials.generate()
OLD_JWK, NEW_JWK = json.loads(OLD.jwt_signing_keys), json.loads(NEW.jwt_signing_keys)


@pytest.fixture
async def restart(environment: dict[str, str], gateway: Gateway) -> AsyncIterator[MakeGateway]:
    """The gateway as it is after a restart with other keys, on the same database."""
    async with AsyncExitStack() as cleanup:

        async def start(**keys: str) -> Gateway:
            values = environment | keys
            app = create_app(Settings.model_validate({name.lower(): value for name, value in values.items()}))
            await cleanup.enter_async_context(app.router.lifespan_context(app))
            http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
            return Gateway(await cleanup.enter_async_context(http), app.state.services, gateway.lms)

        yield start


def kids(found: Gateway) -> list[str]:
    return [key["kid"] for key in found.services.tokens.jwks()["keys"]]


async def test_tokens_of_an_old_key_are_good_until_it_is_taken_out(restart: MakeGateway) -> None:
    before = await restart(JWT_SIGNING_KEYS=json.dumps(OLD_JWK))
    during = await restart(JWT_SIGNING_KEYS=json.dumps(NEW_JWK + OLD_JWK))
    after = await restart(JWT_SIGNING_KEYS=json.dumps(NEW_JWK))
    old, new = await before.person(), await during.person()
    good = [
        (before, old.token),
        (during, old.token),
        (during, new.token),
        (after, new.token),
    ]
    for gateway, token in good:
        await Caller(gateway.http, token).ok("GET", "/v1/me")
    for gateway, token in ((before, new.token), (after, old.token)):
        assert await Caller(gateway.http, token).refused("GET", "/v1/me") == (401, "unauthenticated")
    assert [len(kids(found)) for found in (before, during, after)] == [1, 2, 1]
    published = await during.nobody().ok("GET", "/.well-known/jwks.json")
    assert [key["kid"] for key in published["keys"]] == [NEW_JWK[0]["kid"], OLD_JWK[0]["kid"]]
    assert not any(secret in json.dumps(published) for secret in (OLD_JWK[0]["d"], NEW_JWK[0]["d"]))


async def test_another_key_under_a_known_id_opens_nothing(restart: MakeGateway) -> None:
    """Ids are names only: a key that was made again under its old name is another key."""
    after = await restart(JWT_SIGNING_KEYS=json.dumps([NEW_JWK[0] | {"kid": OLD_JWK[0]["kid"]}]))
    before = await restart(JWT_SIGNING_KEYS=json.dumps(OLD_JWK))
    token = (await before.person()).token
    assert await Caller(after.http, token).refused("GET", "/v1/me") == (401, "unauthenticated")


async def test_stored_answers_and_secrets_outlive_a_new_sealing_key(restart: MakeGateway) -> None:
    before = await restart(SECRETS_KEY=OLD.secrets_key)
    during = await restart(SECRETS_KEY=f"{NEW.secrets_key},{OLD.secrets_key}")
    operator, key = await before.person("operator"), str(uuid.uuid4())
    body = {"url": "https://receiver.example.com/hooks", "event_types": ["order.paid"]}
    first = await operator.send("POST", "/v1/webhook-endpoints", body, key=key)
    assert first.status_code == 201, first.text
    same = Caller(during.http, operator.token)
    again = await same.send("POST", "/v1/webhook-endpoints", body, key=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await same.send("POST", "/v1/webhook-endpoints", body | {"event_types": []}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_an_issuer_signs_with_its_first_key_only() -> None:
    keys = parse_signing_keys(json.dumps(NEW_JWK + OLD_JWK))
    issuer = TokenIssuer(keys, issuer="https://pay.example.com", audience="commerce")
    newest = TokenIssuer(keys[:1], issuer="https://pay.example.com", audience="commerce")
    user_id = str(uuid.uuid4())
    assert newest.verify(issuer.issue(user_id, ())).sub == user_id


@pytest.mark.parametrize("keys", ["", "{}", "[]", "[1]", json.dumps(OLD_JWK * 2), json.dumps([{"kid": "a"}])])
def test_signing_keys_out_of_form_are_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="JWT_SIGNING_KEYS"):
        parse_signing_keys(keys)
