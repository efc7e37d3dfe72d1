"""The REST protocol of the stand-in LMS, for machines.

Every call carries `Authorization: Bearer <token>` and speaks JSON.

    GET    /api/check                               {"name", "version"}
    POST   /api/login {username, password}          a user; user name or email
    POST   /api/users {email, username, password,   201, a user
                       first_name, last_name}
    GET    /api/users/{id}                          a user
    PUT    /api/enrolments/{user_id}/{course_id}    {"user_id", "course_id", "active": true, "changed"}
    DELETE /api/enrolments/{user_id}/{course_id}    the same, "active": false; never enrolled is fine
    GET    /api/enrolments/{user_id}/{course_id}    {"user_id", "course_id", "active"}
    GET    /api/progress/{user_id}/{course_id}      {"user_id", "course_id", "progress", "completed"}

A user is `{"id", "username", "email", "first_name", "last_name", "full_name", "roles", "confirmed",
"suspended"}`; `progress` goes from 0 to 1 and is null for who is not enrolled. An error is
`{"error": {"code", "message"}}` with a status of 4xx; codes are `invalid_token` (401), `bad_credentials`
(401), `user_exists` (409), `invalid_input` (422), `unknown_user` (404), `user_not_ready` (403),
`unknown_course` (404).
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.lms_standin.lms import Lms
from devstack.lms_standin.server import CutConnection, json_object
from devstack.lms_standin.users import Refused

Effect = Callable[[dict[str, str], dict[str, Any]], tuple[int, dict[str, Any]]]


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise Refused(422, "invalid_input", f"{name} must be a string")
    return value


class Service:
    """Answers the service calls, with the faults that are in force."""

    def __init__(self, lms: Lms, token: str) -> None:
        self._lms = lms
        self._token = token
        self._late: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """The routes of the protocol."""
        user, pair = ("user_id",), ("user_id", "course_id")
        return [
            self._route("GET", "/api/check", "check", (), self._check),
            self._route("POST", "/api/login", "login", (), self._login),
            self._route("POST", "/api/users", "register", (), self._register),
            self._route("GET", "/api/users/{ids:path}", "get_user", user, self._get_user),
            self._route("PUT", "/api/enrolments/{ids:path}", "grant", pair, self._grant),
            self._route("DELETE", "/api/enrolments/{ids:path}", "revoke", pair, self._revoke),
            self._route("GET", "/api/enrolments/{ids:path}", "enrolled", pair, self._enrolled),
            self._route("GET", "/api/progress/{ids:path}", "progress", pair, self._progress),
        ]

    def _route(self, method: str, path: str, operation: str, names: tuple[str, ...], effect: Effect) -> Route:
        async def serve(request: Request) -> Response:
            # Read from the raw path, where a slash within an id is still told from one between two ids.
            ids = request.scope["raw_path"].decode("latin-1").split("/")[3:]
            if len(ids) != len(names):
                return _error(Refused(404, "no_such_route", "no such route"))
            params = {name: unquote(value) for name, value in zip(names, ids, strict=True)}
            return await self._serve(request, operation, params, effect)

        return Route(path, serve, methods=[method])

    async def _serve(
        self, request: Request, operation: str, params: dict[str, str], effect: Effect
    ) -> Response:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return _error(Refused(401, "invalid_token", "the service token is not valid"))
        body = await json_object(request)
        fault = self._lms.faults.take(operation, params.get("user_id"), params.get("course_id"))
        if fault is not None and fault.late:
            late = asyncio.create_task(self._do_later(fault.seconds, operation, params, body, effect))
            self._late.add(late)  # the loop alone would not keep it
            late.add_done_callback(self._late.discard)
            return CutConnection()
        if fault is not None and (instead := await fault.before_effect()):
            self._log_failure(operation, params, f"fault:{fault.kind}")
            return instead
        try:
            status, answer = effect(params, body)
        except Refused as refusal:
            self._log_failure(operation, params, refusal.code)
            return _error(refusal)
        if fault is not None and (instead := await fault.after_effect()):
            return instead
        return JSONResponse(answer, status)

    async def _do_later(
        self, seconds: float, operation: str, params: dict[str, str], body: dict[str, Any], effect: Effect
    ) -> None:
        await asyncio.sleep(seconds)
        try:
            effect(params, body)
        except Refused as refusal:
            self._log_failure(operation, params, refusal.code)

    def _log_failure(self, operation: str, params: dict[str, str], outcome: str) -> None:
        if operation in ("grant", "revoke"):
            self._lms.enrolments.log(
                operation, params["user_id"], params["course_id"], changed=False, outcome=outcome
            )

    def _check(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"name": "stand-in LMS", "version": 1}

    def _login(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        user = self._lms.users.login(_text(body, "username"), _text(body, "password"))
        return 200, user.as_json()

    def _register(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        names = ("email", "username", "password", "first_name", "last_name")
        user = self._lms.users.register(**{name: _text(body, name) for name in names})
        return 201, user.as_json()

    def _get_user(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        user = self._lms.users.get(params["user_id"])
        if user is None:
            raise Refused(404, "unknown_user", "no such user")
        return 200, user.as_json()

    def _grant(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        changed = self._lms.enrolments.grant(params["user_id"], params["course_id"])
        return 200, {**params, "active": True, "changed": changed}

    def _revoke(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        changed = self._lms.enrolments.revoke(params["user_id"], params["course_id"])
        return 200, {**params, "active": False, "changed": changed}

    def _enrolled(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {**params, "active": self._lms.enrolments.is_enrolled(**params)}

    def _progress(self, params: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        user_id, course_id = params["user_id"], params["course_id"]
        if self._lms.users.get(user_id) is None:
            raise Refused(404, "unknown_user", "no such user")
        if self._lms.enrolments.title(course_id) is None:
            raise Refused(404, "unknown_course", "no such course")
        study = self._lms.enrolments.study(user_id, course_id)
        enrolled = self._lms.enrolments.is_enrolled(user_id, course_id)
        return 200, {
            **params,
            "progress": study.progress if enrolled else None,
            "completed": study.completed_at is not None,
        }


def _error(refusal: Refused) -> JSONResponse:
    return JSONResponse({"error": {"code": refusal.code, "message": refusal.message}}, refusal.status)
