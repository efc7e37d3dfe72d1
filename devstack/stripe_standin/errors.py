"""Refusals with Stripe's error bodies.

ApiError
├── (kept)      decided by executing: the answer is stored under the idempotency key
├── (not kept)  refused before execution: 401, 429, parameters, conflicts
└── Declined    402: the effects (a failed charge, its events) are committed all the same
"""

from typing import Any


class ApiError(Exception):
    """An answer that is an error; what was done so far is rolled back."""

    commits = False

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.headers = headers or {}
        named = {"type": kind, "code": code, "message": message, "param": param, **more}
        self.error = {name: value for name, value in named.items() if value is not None}

    def body(self, request_id: str) -> dict[str, Any]:
        """Stripe's error body, with the links that it carries."""
        error = dict(self.error)
        if "code" in error:
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{error['code'].replace('_', '-')}"
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


class Declined(ApiError):
    """402 `card_error`: the bank said no. The failed charge and the intent's state stay."""

    commits = True

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(402, message, kind="card_error", kept=True, **more)


def invalid_parameter(message: str, param: str, code: str | None = None) -> ApiError:
    """400 before execution: nothing is kept under the idempotency key."""
    return ApiError(400, message, code=code, param=param)


def missing_parameter(param: str) -> ApiError:
    """400 `parameter_missing`."""
    return invalid_parameter(f"Missing required param: {param}.", param, "parameter_missing")


def refused(message: str, code: str | None = None, param: str | None = None, **more: Any) -> ApiError:
    """400 decided by the state of things: kept under the idempotency key."""
    return ApiError(400, message, code=code, param=param, kept=True, **more)


def no_such(kind: str, object_id: str, param: str = "id") -> ApiError:
    """404 `resource_missing`, or 400 when the id came as a parameter."""
    status = 404 if param in ("id", "intent") else 400
    return ApiError(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param, kept=True)


def unknown_url(method: str, path: str) -> ApiError:
    """404 for an address that the API doesn't have."""
    return ApiError(404, f"Unrecognized request URL ({method}: {path}).")
