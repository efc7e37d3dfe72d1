"""What an operator or a machine does is logged in the transaction of its effect."""

import json
from typing import Any, cast

from fastapi import Request, Response

from api.dependencies import Access, Principal
from api.problems import current_request_id
from models.database import Session
from models.queries import audit
from models.queries.audit import Action

_SECRET = frozenset({"password", "secret", "refresh_token", "client_secret", "api_key"})
_BODY_KEPT = 16 * 1024
_REASON_KEPT = 500


async def log_action(
    request: Request, session: Session, response: Response, *, action: str, access: Access | None, body: bytes
) -> None:
    """Log a write that was decided: done, or refused by a rule. Nothing of plain learners and instructors."""
    principal = cast(Principal | None, getattr(request.state, "principal", None))
    if principal is None or not principal.sees_all:
        return
    asked = _object(body)
    # What anybody may send (a checkout, say) can hold the sender's own address: its body is not kept.
    powers = access is not None and bool(access.roles)
    objects = [str(value) for value in request.path_params.values()]
    if response.status_code in (201, 202):
        objects.append(request.state.object_id)
    reason = asked.get("reason")
    await audit.add(
        session,
        Action(
            actor_kind="machine" if principal.is_machine else "operator",
            actor_id=principal.user_id,
            action=action,
            objects=[entry[:200].replace("\0", "") for entry in objects],
            request_id=current_request_id(),
            status_code=response.status_code,
            code=_object(bytes(response.body)).get("code") if response.status_code >= 400 else None,
            reason=reason[:_REASON_KEPT] if isinstance(reason, str) else None,
            request=_kept(asked, len(body)) if powers else None,
        ),
    )


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
