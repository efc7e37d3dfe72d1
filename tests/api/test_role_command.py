"""Roles given on the machine itself: how the first operator comes to be where the LMS names none."""

import json
import uuid
from typing import Any

from tests.api.callers import PASSWORD, Caller, Gateway
from tests.api.commands import Commands

REASON = "runs the shop from May"


async def newcomer(gateway: Gateway, name: str) -> tuple[Caller, str]:
    """Somebody who registered: a learner, whatever they are to become."""
    body = {
        "email": f"{name}.{uuid.uuid4().hex[:8]}@example.com",
        "password": PASSWORD,
        "full_name": "Ada Newcomer",
    }
    answer = await gateway.nobody().ok("POST", "/v1/auth/register", body)
    user = answer["user"]
    return Caller(gateway.http, answer["access_token"], user["id"], user["lms_user_id"]), body["email"]


async def roles_of(gateway: Gateway, email: str) -> Any:
    answer = await gateway.nobody().ok("POST", "/v1/auth/login", {"username": email, "password": PASSWORD})
    return answer["user"]["roles"]


async def test_the_first_operator_is_made_by_a_command(gateway: Gateway, commands: Commands) -> None:
    person, email = await newcomer(gateway, "first-operator")
    assert await person.refused("GET", "/v1/tasks") == (403, "forbidden")
    given = ("--lms-user-id", person.lms_user_id, "--reason", REASON)
    assert "next access token" in await commands.run("role", "give", "operator", *given)
    await commands.run("role", "give", "operator", *given)
    assert await roles_of(gateway, email) == ["learner", "operator"]
    (found,) = json.loads(await commands.run("role", "list", "--email", email.upper(), "--json"))
    assert (found["lms_user_id"], found["given"]) == (person.lms_user_id, ["operator"])
    assert person.lms_user_id in await commands.run("role", "list")

    await commands.run("role", "take", "operator", *given)
    assert await roles_of(gateway, email) == ["learner"]
    logged = (await gateway.operator.ok("GET", "/v1/audit", object_id=person.user_id))["data"]
    assert [entry["action"] for entry in logged] == ["role take", "role give", "role give"]
    assert {entry["actor_kind"] for entry in logged} == {"command"}
    assert {entry["reason"] for entry in logged} == {REASON}
    assert logged[0]["objects"] == [person.user_id, "operator"]


async def test_a_role_is_given_to_somebody_known_for_a_reason(gateway: Gateway, commands: Commands) -> None:
    person, _ = await newcomer(gateway, "no-operator")
    nobody = ("--lms-user-id", "999999", "--reason", REASON)
    assert "log in once" in await commands.run("role", "give", "operator", *nobody, code=1)
    assert "log in once" in await commands.run("role", "take", "operator", *nobody, code=1)
    await commands.run("role", "give", "operator", "--lms-user-id", person.lms_user_id, code=2)
    blank = ("--lms-user-id", person.lms_user_id, "--reason", "  ")
    await commands.run("role", "give", "operator", *blank, code=2)
    await commands.run(
        "role", "give", "service", "--lms-user-id", person.lms_user_id, "--reason", "?", code=2
    )
    assert await person.refused("GET", "/v1/tasks") == (403, "forbidden")
    assert json.loads(await commands.run("role", "list", "--email", "nobody@example.com", "--json")) == []


async def test_a_role_of_the_lms_is_taken_there(gateway: Gateway, commands: Commands) -> None:
    teacher = await gateway.person("instructor")
    asked = ("--lms-user-id", teacher.lms_user_id, "--reason", REASON)
    assert "the LMS" in await commands.run("role", "take", "instructor", *asked, code=1)
    logged = (await gateway.operator.ok("GET", "/v1/audit", object_id=teacher.user_id))["data"]
    assert logged == []
