"""What is held of a person, for themselves and for operators who are asked for it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field

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

    reason: Annotated[ShortText, Field(description="Why the data is taken out; kept in the audit log.")]


class PersonExport(Output):
    """Everything by kind, oldest first; amounts are minor units of the currency beside them.

    `accounts` are those that the LMS made one; `actions_about` what operators and machines did about them
    and why, `actions_of` what they did as an operator. `earnings`, `payouts` and `corrections` are an
    instructor's.
    """

    person: Annotated[UserView, Field(description="Who they are, as the LMS last said.")]
    accounts: Annotated[
        list[dict[str, Any]],
        Field(description="Their account here, and those that the LMS made one with it."),
    ]
    orders: Annotated[
        list[dict[str, Any]],
        Field(description="Orders with billing address, lines, completions and timeline."),
    ]
    payments: Annotated[
        list[dict[str, Any]],
        Field(description="Payments of their orders, with the processor's ids and failures."),
    ]
    refunds: Annotated[
        list[dict[str, Any]],
        Field(description="Refunds of their orders, and what each takes from which line."),
    ]
    disputes: Annotated[
        list[dict[str, Any]], Field(description="Disputes about their orders, with the evidence.")
    ]
    entitlements: Annotated[
        list[dict[str, Any]],
        Field(description="Access to courses, how far the LMS is with it, and the order lines that give it."),
    ]
    questions: Annotated[
        list[dict[str, Any]], Field(description="What they were asked about a line, and what was chosen.")
    ]
    completions: Annotated[
        list[dict[str, Any]], Field(description="Courses that the LMS said they completed.")
    ]
    completions_taken_back: Annotated[
        list[dict[str, Any]], Field(description="Completions that the LMS took back.")
    ]
    documents: Annotated[
        list[dict[str, Any]],
        Field(description="Invoices, receipts and credit notes with all that stands on them."),
    ]
    carts: Annotated[
        list[dict[str, Any]], Field(description="Open and closed carts with the titles that lay in them.")
    ]
    promotion_uses: Annotated[
        list[dict[str, Any]], Field(description="Promotion codes that their orders used.")
    ]
    store_credit: Annotated[
        list[dict[str, Any]], Field(description="Store credit that they were given, and why.")
    ]
    store_credit_balances: Annotated[
        list[dict[str, Any]], Field(description="What they have of store credit, by currency.")
    ]
    store_credit_entries: Annotated[
        list[dict[str, Any]], Field(description="What changed their store credit: positive when it grew.")
    ]
    asked_for: Annotated[
        list[dict[str, Any]],
        Field(description="What they asked for that goes on by itself: checkouts, refunds, choices."),
    ]
    tasks: Annotated[
        list[dict[str, Any]], Field(description="What operators had to decide about them or their orders.")
    ]
    differences: Annotated[
        list[dict[str, Any]],
        Field(description="Where the processor and our books differed about their orders."),
    ]
    erasures: Annotated[list[dict[str, Any]], Field(description="Requests to erase them.")]
    merges: Annotated[
        list[dict[str, Any]], Field(description="When the LMS made two accounts one, of which one is theirs.")
    ]
    events_received: Annotated[
        list[dict[str, Any]],
        Field(description="What the processor and the LMS told us of their orders and account."),
    ]
    events_sent: Annotated[
        list[dict[str, Any]], Field(description="What our receivers of events were told about them.")
    ]
    actions_about: Annotated[
        list[dict[str, Any]],
        Field(description="What operators and machines did about them, when and why, but not who."),
    ]
    actions_of: Annotated[
        list[dict[str, Any]],
        Field(description="What they did with the powers of an operator, but not about whom."),
    ]
    sign_ins: Annotated[
        list[dict[str, Any]], Field(description="When they signed in, and until when it was good.")
    ]
    earnings: Annotated[
        list[dict[str, Any]], Field(description="What they earned as an instructor, by course and currency.")
    ]
    payouts: Annotated[list[dict[str, Any]], Field(description="What the payout system paid them.")]
    corrections: Annotated[
        list[dict[str, Any]], Field(description="What operators put right in their earnings.")
    ]


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
