"""Operators give roles beside the LMS's, and take them; each is logged with its reason."""

import uuid

from tests.api.callers import PASSWORD, Caller, Gateway

WHY = {"X-Audit-Reason": "teaches no more"}


async def signed_in(gateway: Gateway, username: str) -> tuple[Caller, str]:
    body = {"username": username, "password": PASSWORD}
    answer = await gateway.nobody().ok("POST", "/v1/auth/login", body)
    return Caller(gateway.http, answer["access_token"], answer["user"]["id"]), answer["refresh_token"]


async def test_a_given_role_opens_doors_until_it_is_taken(gateway: Gateway) -> None:
    learner, refresh = await signed_in(gateway, "learner@example.com")
    assert await learner.refused("GET", "/v1/earnings") == (403, "forbidden")
    path = f"/v1/users/{learner.user_id}/roles"
    given = await gateway.operator.ok("PUT", f"{path}/instructor", {"reason": "teaches from May"})
    again = await gateway.operator.ok("PUT", f"{path}/instructor", {"reason": "teaches from May"})
    assert given == again
    assert (given["from_lms"], given["given"]) == (["learner"], ["instructor"])
    # A login asks the LMS for its roles, and a refresh does not: what was given stays either way.
    by_login, _ = await signed_in(gateway, "learner@example.com")
    renewed = await gateway.nobody().ok("POST", "/v1/auth/refresh", {"refresh_token": refresh})
    for caller in (by_login, Caller(gateway.http, renewed["access_token"])):
        assert (await caller.ok("GET", "/v1/me"))["roles"] == ["learner", "instructor"]
        await caller.ok("GET", "/v1/earnings")
    taken = await gateway.operator.ok("DELETE", f"{path}/instructor", headers=WHY)
    assert taken["given"] == []
    after, _ = await signed_in(gateway, "learner@example.com")
    assert await after.refused("GET", "/v1/earnings") == (403, "forbidden")
    logged = (await gateway.operator.ok("GET", "/v1/audit", object_id=learner.user_id))["data"]
    assert [entry["action"] for entry in logged] == ["take_role", "give_role", "give_role"]
    assert [entry["reason"] for entry in logged] == ["teaches no more", *["teaches from May"] * 2]
    assert logged[-1]["actor_id"] == gateway.operator.user_id
    assert logged[-1]["objects"] == [learner.user_id, "instructor"]


async def test_nobody_raises_themselves(gateway: Gateway) -> None:
    learner = await gateway.person()
    for caller in (learner, await gateway.person("instructor"), await gateway.machine()):
        path = f"/v1/users/{learner.user_id}/roles/operator"
        assert await caller.refused("PUT", path, {"reason": "me"}) == (403, "forbidden")
        assert await caller.refused("DELETE", path) == (403, "forbidden")


async def test_what_can_not_be_given_or_taken_is_refused(gateway: Gateway) -> None:
    operator = gateway.operator
    person = await gateway.person("instructor")
    path = f"/v1/users/{person.user_id}/roles"
    for role in ("service", "learner", "root"):
        assert await operator.refused("PUT", f"{path}/{role}", {"reason": "?"}) == (422, "invalid_request")
    assert await operator.refused("PUT", f"{path}/operator", {}) == (422, "invalid_request")
    assert await operator.refused("DELETE", f"{path}/instructor", headers=WHY) == (409, "role_of_lms")
    nobody = f"/v1/users/{uuid.uuid4()}/roles"
    assert await operator.refused("PUT", f"{nobody}/operator", {"reason": "?"}) == (404, "not_found")
    assert await operator.refused("DELETE", f"{nobody}/operator", headers=WHY) == (404, "not_found")


async def test_a_user_is_found_by_the_id_of_the_lms(gateway: Gateway) -> None:
    person = await gateway.person("learner")
    (found,) = (await gateway.operator.ok("GET", "/v1/users", lms_user_id=person.lms_user_id))["data"]
    assert found["user_id"] == person.user_id
    assert (await gateway.operator.ok("GET", "/v1/users", lms_user_id="nobody"))["data"] == []
