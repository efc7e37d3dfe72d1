"""Problems say what is wrong and what to do, in words that fit the mistake."""

import re
import uuid

import jwt
import pytest

from tests.api.callers import Caller, Gateway

SEND_JSON = "send the body as JSON, with the header `Content-Type: application/json`"
NO_ADDRESS = "there is no such address; /docs lists all operations"
NO_ITEM = "no such item; ids are those of GET /v1/catalog/items"
BAD_TOKEN = "the access token is not valid or has expired; get another by POST /v1/auth/refresh"


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}])
async def test_a_body_that_does_not_say_it_is_json(gateway: Gateway, headers: dict[str, str]) -> None:
    answer = await gateway.http.post(
        "/v1/auth/login", content=b'{"username": "a", "password": "b"}', headers=headers
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["detail"]) == (422, "invalid_request", SEND_JSON)
    assert problem["errors"] == [{"pointer": "/body", "detail": SEND_JSON}]


async def test_a_body_that_is_json_and_no_object(gateway: Gateway) -> None:
    problem = (await gateway.nobody().send("POST", "/v1/auth/login", [1])).json()
    assert (problem["status"], problem["code"]) == (422, "invalid_request")
    assert problem["errors"] == [{"pointer": "/body", "detail": "must be a JSON object"}]


async def test_lengths_of_texts_are_told_in_characters(gateway: Gateway) -> None:
    def details(problem: dict[str, object]) -> dict[str, str]:
        errors = problem["errors"]
        assert isinstance(errors, list)
        return {error["pointer"]: error["detail"] for error in errors}

    path = f"/v1/orders/{uuid.uuid4()}/refunds"
    empty = (await gateway.operator.send("POST", path, {"reason": ""})).json()
    assert details(empty)["/body/reason"] == "must not be empty"
    long = (await gateway.operator.send("POST", path, {"reason": "x" * 501})).json()
    assert details(long)["/body/reason"] == "must have at most 500 characters"


async def test_an_address_that_does_not_exist(gateway: Gateway) -> None:
    problem = (await gateway.operator.send("GET", "/v1/catalogue/items")).json()
    assert (problem["status"], problem["code"], problem["detail"]) == (404, "not_found", NO_ADDRESS)


async def test_remedies_fit_the_mistake(gateway: Gateway) -> None:
    page = (await gateway.http.get("/docs/errors")).text
    remedies = dict(re.findall(r'<tr id="(\w+)">.*?<span class=who>(.+?)</span>', page))
    assert "id" in remedies["not_found"]
    assert "address" in remedies["not_found"]
    assert "operator" in remedies["lms_misconfigured"]
    assert "Mend the request" not in remedies["lms_misconfigured"]


async def test_what_is_no_id_is_called_by_its_kind(gateway: Gateway) -> None:
    learner = await gateway.person("learner")
    for item in ("python-101", str(uuid.uuid4())):
        problem = (await learner.send("POST", "/v1/cart/items", {"item_id": item, "quantity": 1})).json()
        assert (problem["status"], problem["code"], problem["detail"]) == (404, "not_found", NO_ITEM)
    for path, kind in (
        ("orders", "order"),
        ("refunds", "refund"),
        ("payments", "payment"),
        ("entitlements", "entitlement"),
        ("disputes", "dispute"),
        ("webhook-endpoints", "webhook endpoint"),
    ):
        for wrong in ("no-id", str(uuid.uuid4())):
            problem = (await gateway.operator.send("GET", f"/v1/{path}/{wrong}")).json()
            assert (problem["status"], problem["detail"]) == (404, f"no such {kind}")


async def test_an_expired_token_is_answered_like_any_bad_one(gateway: Gateway) -> None:
    learner = await gateway.person("learner")
    issuer = gateway.services.tokens
    key = issuer._signing
    claims = jwt.decode(learner.token or "", options={"verify_signature": False})
    claims |= {"iat": claims["iat"] - 7200, "exp": claims["exp"] - 7200}
    expired = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.kid})
    for token in (expired, "rubbish"):
        problem = (await Caller(gateway.http, token).send("GET", "/v1/me")).json()
        assert (problem["status"], problem["code"], problem["detail"]) == (401, "unauthenticated", BAD_TOKEN)


async def test_the_docs_name_the_writes_without_a_key(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    keyless = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "get"
        and not any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ()))
    }
    assert len(keyless) == 8
    page = (await gateway.http.get("/docs")).text
    lead = page[: page.index("<details")]
    for text in (document["info"]["description"], lead):
        named = {
            one for one in keyless if not one.startswith("POST /v1/webhooks/") and one.split()[1] not in text
        }
        assert named == set()
        assert "/v1/webhooks/" in text
