"""Faults on request: what the next matching calls of the service protocol suffer."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from starlette.responses import HTMLResponse, JSONResponse, Response

from devstack.lms_standin.server import CutConnection

Kind = Literal[
    "latency",  # wait `seconds`, then answer as usual
    "rate_limited",  # 429, with `retry_after`; no effect
    "unavailable_html",  # 503 with a page of HTML; no effect
    "server_error",  # 500 with JSON; no effect
    "cut",  # the connection is reset; no effect
    "cut_before_effect",  # reset the connection, and do it `seconds` later all the same
    "timeout_after_effect",  # do it, then stay silent for `seconds`
    "cut_after_effect",  # do it, then reset the connection
    "error_after_effect",  # do it, then answer 503 with HTML
    "reject",  # refuse for good with `code` and `status`; no effect
    "error_200",  # refuse with `code` under HTTP 200; no effect
    "html_200",  # do it, then answer 200 with a page of HTML
    "wrong_answer",  # do it, then answer 200 with JSON of another shape
]
OPERATIONS = ("check", "login", "register", "get_user", "grant", "revoke", "enrolled", "progress", "*")
_PAGE = "<!doctype html><title>Maintenance</title><h1>This site is under maintenance</h1>"


@dataclass
class Fault:
    """One fault; it applies `count` times (None: until cleared) to calls that match."""

    operation: str
    kind: Kind
    count: int | None = 1
    seconds: float = 0.0
    retry_after: str | None = None
    code: str = "refused"
    status: int = 422
    user_id: str | None = None
    course_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would never match."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}")
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}")

    def matches(self, operation: str, user_id: str | None, course_id: str | None) -> bool:
        """Whether the call is one of those meant."""
        return (
            self.operation in (operation, "*")
            and self.user_id in (None, user_id)
            and self.course_id in (None, course_id)
        )

    @property
    def late(self) -> bool:
        """Whether the effect comes `seconds` after the caller was cut off."""
        return self.kind == "cut_before_effect"

    async def before_effect(self) -> Response | None:
        """The answer that prevents the effect, or None to go on."""
        if self.kind == "latency":
            await asyncio.sleep(self.seconds)
        if self.kind == "rate_limited":
            headers = {"retry-after": self.retry_after} if self.retry_after is not None else {}
            error = {"error": {"code": "too_many_requests", "message": "slow down"}}
            return JSONResponse(error, 429, headers=headers)
        if self.kind == "unavailable_html":
            headers = {"retry-after": self.retry_after} if self.retry_after is not None else {}
            return HTMLResponse(_PAGE, 503, headers=headers)
        if self.kind == "server_error":
            return JSONResponse({"error": {"code": "internal", "message": "broken"}}, 500)
        if self.kind == "cut":
            return CutConnection()
        if self.kind in ("reject", "error_200"):
            status = 200 if self.kind == "error_200" else self.status
            return JSONResponse({"error": {"code": self.code, "message": f"refused: {self.code}"}}, status)
        return None

    async def after_effect(self) -> Response | None:
        """The answer that hides the effect, or None for the true one."""
        if self.kind == "timeout_after_effect":
            await asyncio.sleep(self.seconds)
            return CutConnection()
        if self.kind == "cut_after_effect":
            return CutConnection()
        if self.kind == "error_after_effect":
            return HTMLResponse(_PAGE, 503)
        if self.kind == "html_200":
            return HTMLResponse(_PAGE, 200)
        if self.kind == "wrong_answer":
            return JSONResponse({"id": 7, "active": "perhaps"}, 200)
        return None


class FaultBook:
    """The faults in force; a restart forgets them."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force, behind those that are."""
        self._faults.append(fault)

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def listing(self) -> list[dict[str, Any]]:
        """What is in force."""
        return [asdict(fault) for fault in self._faults]

    def take(self, operation: str, user_id: str | None, course_id: str | None) -> Fault | None:
        """The first matching fault, used up by one."""
        for fault in self._faults:
            if fault.matches(operation, user_id, course_id):
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._faults.remove(fault)
                return fault
        return None
