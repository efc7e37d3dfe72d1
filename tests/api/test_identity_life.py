"""What the LMS tells of accounts: changes are taken over in any order, sign-ins end with the account."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.erasure import ErasureSource
from models.queries import erasures, people
from models.queries.people import UserRow
from tests.api.callers import PASSWORD, Gateway
from tests.api.test_forged_events import standard_headers


async def tell(gateway: Gateway, kind: str, data: Any, event_id: str | None = None) -> int:
    event = {"id": event_id or f"evt_{uuid.uuid4().hex}", "type": kind, "data": data}
    body = json.dumps(event).encode()
    answer = await gateway.http.post("/v1/webhooks/lms", content=body, headers=standard_headers(body))
    return answer.status_code


async def known(gateway: Gateway, user_id: str) -> UserRow:
    async with gateway.services.database.transaction() as session:
        found = await people.get(session, user_id)
    assert found is not None
    return found


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_a_changed_account_is_taken_over_and_a_late_event_changes_nothing(gateway: Gateway) -> None:
    ann = await gateway.person("instructor")
    before = at(-60)
    first = {
        "user_id": ann.lms_user_id,
        "username": "ann.newer",
        "email": "ann.newer@example.com",
        "full_name": "Ann Newer",
        "roles": ["learner"],
        "updated_at": at(3600),  # a clock that is ahead
    }
    assert await tell(gateway, "user.updated", first) == 200
    me = await ann.ok("GET", "/v1/me")
    assert (me["email"], me["full_name"], me["roles"]) == ("ann.newer@example.com", "Ann Newer", ["learner"])
    late = first | {"email": "ann.old@example.com", "full_name": "Ann Old", "updated_at": before}
    assert await tell(gateway, "user.updated", late) == 200
    assert await ann.ok("GET", "/v1/me") == me
    # What an event does not say stays; an email can be taken away.
    assert await tell(gateway, "user.updated", {"user_id": ann.lms_user_id, "email": None}) == 200
    assert await ann.ok("GET", "/v1/me") == me | {"email": None}


async def test_strangers_are_not_made_users(gateway: Gateway) -> None:
    stranger = f"s-{uuid.uuid4().hex}"
    assert await tell(gateway, "user.updated", {"user_id": stranger, "full_name": "Nobody"}) == 200
    assert await tell(gateway, "user.deleted", {"user_id": stranger}) == 200
    async with gateway.services.database.transaction() as session:
        assert await people.by_lms_id(session, stranger) is None


@pytest.mark.parametrize("kind", ["user.updated", "user.deleted"])
async def test_an_event_that_cannot_be_read_is_refused(gateway: Gateway, kind: str) -> None:
    bad: list[Any] = [None, {}, [], {"user_id": ""}, {"user_id": ["1"]}]
    if kind == "user.updated":
        bad += [{"user_id": "1", more: wrong} for more, wrong in (("roles", "operator"), ("username", 7))]
        bad += [{"user_id": "1", "full_name": "n\0"}, {"user_id": "1", "email": "e" * 321}]
    assert {await tell(gateway, kind, data) for data in bad} == {400}


async def test_sign_ins_end_with_the_account_and_come_back_only_by_the_lms(gateway: Gateway) -> None:
    body = {"email": f"ann.{uuid.uuid4().hex[:12]}@example.com", "password": PASSWORD, "full_name": "Ann E"}
    signed_in = await gateway.nobody().ok("POST", "/v1/auth/register", body)
    user, lms_id = signed_in["user"]["id"], signed_in["user"]["lms_user_id"]
    deletion = f"evt_{uuid.uuid4().hex}"
    assert await tell(gateway, "user.deleted", {"user_id": lms_id}, deletion) == 200
    refresh = {"refresh_token": signed_in["refresh_token"]}
    refusal = await gateway.nobody().refused("POST", "/v1/auth/refresh", refresh)
    assert refusal == (401, "invalid_refresh_token")
    # A token made beside the deletion, by a refresh that had begun, is as dead; a late change revives nobody.
    async with gateway.services.database.transaction() as session:
        await people.keep_refresh_token(session, user_id=user, token_hash=uuid.uuid4().hex, family_id=None)
        await people.keep_refresh_token(session, user_id=user, token_hash=deletion, family_id=None)
        spent = await people.spend_refresh_token(session, deletion)
    assert spent is not None
    assert not spent.good
    changed = {"user_id": lms_id, "full_name": "Ann Revived", "updated_at": at(60)}
    assert await tell(gateway, "user.updated", changed) == 200
    gone = await known(gateway, user)
    assert (gone.gone, gone.full_name) == (True, "Ann E")
    async with gateway.services.database.transaction() as session:
        erasure = await erasures.of_user(session, user)
        told = await session.execute(
            text(
                "SELECT payload->'data' FROM inbound_event WHERE type = 'user.updated' "
                "AND payload#>>'{data,user_id}' = :id"
            ),
            {"id": lms_id},
        )
    assert erasure is not None
    assert (erasure.source, erasure.erased_at) == (ErasureSource.LMS, None)
    # What an event told of an account is taken over, and kept nowhere else.
    assert list(told.scalars()) == [{"user_id": lms_id}]
    # The LMS lets them in again: the account is there, and the same deletion once more ends nothing.
    login = {"username": body["email"], "password": PASSWORD}
    again = await gateway.nobody().ok("POST", "/v1/auth/login", login)
    assert again["user"]["id"] == user
    assert await tell(gateway, "user.deleted", {"user_id": lms_id}, deletion) == 200
    await gateway.nobody().ok("POST", "/v1/auth/refresh", {"refresh_token": again["refresh_token"]})
