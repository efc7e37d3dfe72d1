"""Roles of persons, beside those that the LMS says."""

import json
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from commands.terminal import JsonOption, console, in_database, logged, show, table_of
from domain.errors import NotFound

if TYPE_CHECKING:
    from models.database import Session
    from models.queries.people import UserRow


app = typer.Typer(no_args_is_help=True, help="Roles of persons, beside those that the LMS says.")


class GivenRole(StrEnum):
    """What can be given: everything else is the LMS's, or a machine's."""

    INSTRUCTOR = "instructor"
    OPERATOR = "operator"


LmsUserOption = Annotated[str, typer.Option(help="Whose; the LMS's id, as `role list --email` shows it.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]


@app.command("give")
def give_role(role: GivenRole, lms_user_id: LmsUserOption, reason: ReasonOption) -> None:
    """Give somebody a role: so the first operator comes to be. It stays whatever the LMS says."""
    from models.queries import people

    _change_role("role give", people.give_role, role, lms_user_id, reason)
    console.print(f"User {lms_user_id} of the LMS is {role} from the next access token on (log in again).")


@app.command("take")
def take_role(role: GivenRole, lms_user_id: LmsUserOption, reason: ReasonOption) -> None:
    """Take a role that was given. Access tokens keep it until they end."""
    from models.queries import people

    _change_role("role take", people.take_role, role, lms_user_id, reason)
    console.print(f"User {lms_user_id} of the LMS was given the role {role} no longer.")


def _change_role(
    action: str,
    change: "Callable[[Session, str, str], Awaitable[UserRow | None]]",
    role: GivenRole,
    lms_user_id: str,
    reason: str,
) -> None:
    from models.queries import people

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")

    async def write(session: "Session") -> None:
        user = await people.by_lms_id(session, lms_user_id)
        if user is None:
            raise NotFound(
                f"nobody with the LMS's id {lms_user_id} was here yet: log in once, then repeat this"
            )
        await change(session, user.id, role.value)
        await logged(session, action, user.id, role.value, request={}, reason=reason)

    in_database(write)


@app.command("list")
def list_roles(
    email: Annotated[str | None, typer.Option(help="Whoever has this address, whatever their roles.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Who is more than a learner, by the LMS or because the role was given."""
    from models.queries import people

    rows = in_database(
        people.with_roles if email is None else lambda session: people.by_email(session, email)
    )
    if as_json:
        shown = [
            {
                "user_id": row.id,
                "lms_user_id": row.lms_user_id,
                "email": row.email,
                "full_name": row.full_name,
            }
            | {"from_lms": row.lms_roles, "given": row.given_roles}
            for row in rows
        ]
        sys.stdout.write(json.dumps(shown) + "\n")
        return
    table = table_of("LMS's id", "name", "email", "from the LMS", "given")
    for row in rows:
        roles = " ".join(row.lms_roles), " ".join(row.given_roles)
        table.add_row(row.lms_user_id, row.full_name, row.email or "", *roles)
    show(table)
