"""What an operator or a machine does is logged in the transaction of its effect, once, and why."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Header, Request, Response

from api.dependencies import Access, Principal
from api.problems import current_request_id
from models.database import Session
from models.queries import audit
from models.queries.audit import Action

REASON_HEADER = "X-Audit-Reason"
_REASON_KEPT = 500
REASON_SAYS = "Why; kept in the audit log, as UTF-8."
AuditReason = Annotated[
    str,
    Header(
        alias=REASON_HEADER,
        min_length=1,
        max_length=_REASON_KEPT,
        pattern=r"\S",
        description=REASON_SAYS,
        examples=["asked by the learner"],
    ),
]
_MAKES = frozenset({201, 202})
_SECRET = frozenset({"password", "secret", "refresh_token", "client_secret", "api_key"})
_BODY_KEPT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Write:
    """The write that is being served: its operation, who may use it, the status of its good answer, what was
    sent. `CommerceRoute` keeps it in the request's state."""

    action: str
    access: Access | None
    status_code: int | None
    body: bytes


async def log_answer(request: Request, session: Session, response: Response) -> None:
    """Log a write that was decided: done, or refused by a rule. The entry of one that began is completed."""
    code = _object(bytes(response.body)).get("code") if response.status_code >= 400 else None
    makes = response.status_code in _MAKES
    await _log(request, session, makes=makes, status_code=response.status_code, code=code)


async def log_begun(request: Request, session: Session) -> None:
    """Log a write whose effect goes on without this request; its answer completes the entry."""
    write: Write = request.state.write
    await _log(request, session, makes=write.status_code in _MAKES, status_code=None, code=None)


async def _log(
    request: Request, session: Session, *, makes: bool, status_code: int | None, code: str | None
) -> None:
    """Nothing of plain learners and instructors."""
    principal = cast(Principal | None, getattr(request.state, "principal", None))
    if principal is None or not principal.sees_all:
        return
    write: Write = request.state.write
    asked = _object(write.body)
    # What anybody may send (a checkout, say) can hold the sender's own address: its body is not kept.
    powers = write.access is not None and bool(write.access.roles)
    objects = [str(value) for value in request.path_params.values()]
    if makes:
        objects.append(request.state.object_id)
    await audit.add(
        session,
        Action(
            actor_kind="machine" if principal.is_machine else "operator",
            actor_id=principal.user_id,
            action=write.action,
            objects=[entry[:200].replace("\0", "") for entry in objects],
            request_id=current_request_id(),
            status_code=status_code,
            code=code,
            reason=_reason(request, asked),
            request=_kept(asked, len(write.body)) if powers else None,
        ),
        write_id=request.state.object_id,
    )


def _reason(request: Request, asked: dict[str, Any]) -> str | None:
    """Why: a body's `reason` where there is one, else what the header says."""
    said = asked.get("reason")
    if not isinstance(said, str):
        said = _as_typed(request.headers.get(REASON_HEADER, ""))
    return said.strip()[:_REASON_KEPT] or None


def _as_typed(header: str) -> str:
    """The text of a header: UTF-8, as clients send it, where it is; the server reads all as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except ValueError:
        return header


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _kept(asked: dict[str, Any], size: int) -> dict[str, Any]:
    if size > _BODY_KEPT:
        return {"too_large_to_keep_bytes": size}
    return {name: value for name, value in asked.items() if name not in _SECRET}
