"""What is held of a person, for themselves and for operators who are asked for it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body

from api.dependencies import Operator, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.paging import parse_id
from api.parameters import UserPath
from api.schemas.auth import UserView
from api.schemas.common import Body as RequestBody
from api.schemas.common import Output, ShortText
from domain.errors import NotFound
from models.database import Session
from models.queries import people, person_export

router = APIRouter(route_class=CommerceRoute, tags=["people"])


class ExportBody(RequestBody):
    """Why an operator takes a person's data out; kept in the audit log."""

    reason: ShortText


class PersonExport(Output):
    """Everything by kind, oldest first; amounts are minor units of the currency beside them.

    `accounts` are those that the LMS made one; `actions_about` what operators and machines did about them
    and why, `actions_of` what they did as an operator. `earnings`, `payouts` and `corrections` are an
    instructor's.
    """

    person: UserView
    accounts: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    disputes: list[dict[str, Any]]
    entitlements: list[dict[str, Any]]
    questions: list[dict[str, Any]]
    completions: list[dict[str, Any]]
    completions_taken_back: list[dict[str, Any]]
    documents: list[dict[str, Any]]
    carts: list[dict[str, Any]]
    promotion_uses: list[dict[str, Any]]
    store_credit: list[dict[str, Any]]
    store_credit_balances: list[dict[str, Any]]
    store_credit_entries: list[dict[str, Any]]
    asked_for: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    erasures: list[dict[str, Any]]
    merges: list[dict[str, Any]]
    events_received: list[dict[str, Any]]
    events_sent: list[dict[str, Any]]
    actions_about: list[dict[str, Any]]
    actions_of: list[dict[str, Any]]
    sign_ins: list[dict[str, Any]]
    earnings: list[dict[str, Any]]
    payouts: list[dict[str, Any]]
    corrections: list[dict[str, Any]]


@router.get("/v1/me/export", operation_id="export_me")
async def export_me(caller: SignedIn, session: SessionDep) -> PersonExport:
    """All that is held of the caller, in one document."""
    return await _export(session, caller.user_id)


@router.post("/v1/users/{user_id}/export", operation_id="export_person")
async def export_person(
    user_id: UserPath, body: Annotated[ExportBody, Body()], caller: Operator, session: SessionDep
) -> PersonExport:
    """All that is held of a person; who took it out, and why, is in the audit log."""
    return await _export(session, parse_id(user_id, "user"))


async def _export(session: Session, user_id: str) -> PersonExport:
    user = await people.get(session, user_id)
    if user is None:
        raise NotFound("no such user")
    found = await person_export.export(session, user.id)
    view = UserView(
        id=user.id,
        lms_user_id=user.lms_user_id,
        email=user.email,
        full_name=user.full_name,
        roles=list(user.roles),
    )
    return PersonExport(person=view, **found)
