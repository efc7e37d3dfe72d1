"""Servers that speak Moodle's and Open edX's wire protocols as measured, errors and oddities included."""

import asyncio
import base64
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

FAULT_PAGE = "<!DOCTYPE html><html><body>This site is undergoing maintenance</body></html>"


@dataclass
class Person:
    """An account."""

    id: int
    username: str
    email: str
    password: str
    first_name: str = "New"
    last_name: str = "Person"
    confirmed: bool = True
    suspended: bool = False
    deleted: bool = False
    admin: bool = False


@dataclass
class Wire:
    """What both LMSs have in common: people, courses, enrolments, and faults in the order they are to come.

    A fault is a function from the request to an answer; `after` lets the effect happen first.
    """

    people: dict[int, Person] = field(default_factory=dict)
    courses: set[str] = field(default_factory=set)
    enrolled: dict[tuple[int, str], bool] = field(default_factory=dict)
    changes: list[tuple[str, int, str]] = field(default_factory=list)
    faults: list[tuple[Callable[[], Response], bool]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    base_url: str = ""

    def person(self, **given: Any) -> Person:
        """A new account."""
        number = 101 + len(self.people)
        self.people[number] = Person(id=number, **given)
        return self.people[number]

    def fail(self, answer: Callable[[], Response], times: int = 1, *, after: bool = False) -> None:
        """Answer so the next `times`; with `after`, once the call has had its effect."""
        self.faults += [(answer, after)] * times

    def enrol(self, user: int, course: str, *, active: bool) -> None:
        """Keep what changed."""
        if self.enrolled.get((user, course), False) != active:
            self.enrolled[user, course] = active
            self.changes.append(("grant" if active else "revoke", user, course))

    async def answer(self, work: Callable[[], Response]) -> Response:
        """The answer, or the fault that is due."""
        fault, after = self.faults.pop(0) if self.faults else (None, False)
        if fault is None:
            return work()
        if after:
            work()
        return fault()


def unavailable() -> Response:
    """A maintenance page with 503."""
    return HTMLResponse(FAULT_PAGE, 503)


def limited() -> Response:
    """429 with Retry-After."""
    return JSONResponse({"detail": "throttled"}, 429, {"retry-after": "7"})


def page() -> Response:
    """A page where JSON should be, with 200."""
    return HTMLResponse("<html>Log in</html>")


# --- Moodle ---------------------------------------------------------------------------------------------


def moodle_error(code: str, message: str = "it failed", kind: str = "moodle_exception") -> Response:
    """An error as Moodle's web services tell it: with status 200."""
    return JSONResponse({"exception": kind, "errorcode": code, "message": message})


class Moodle(Wire):
    """Moodle 5.1's REST web services and login script."""

    token = "service-token-of-moodle"
    service = "commerce_login"
    functions: tuple[str, ...] = ()
    completed: set[tuple[int, str]] = set()
    progress: dict[tuple[int, str], float] = {}
    without_manual: set[str] = set()

    def app(self) -> Starlette:
        """The server."""
        return Starlette(
            routes=[
                Route("/login/token.php", self._login, methods=["POST"]),
                Route("/webservice/rest/server.php", self._rest, methods=["POST"]),
            ]
        )

    async def _login(self, request: Request) -> Response:
        form = await request.form()
        return await self.answer(lambda: self._token_for({k: str(v) for k, v in form.items()}))

    def _token_for(self, form: dict[str, str]) -> Response:
        if form.get("service") != self.service:
            return JSONResponse({"error": "Web service is not available", "errorcode": "servicenotavailable"})
        found = next(
            (p for p in self.people.values() if p.username == form["username"] and not p.deleted), None
        )
        if found is None or found.password != form["password"] or found.suspended:
            return JSONResponse({"error": "Invalid login, please try again", "errorcode": "invalidlogin"})
        if not found.confirmed:
            return JSONResponse({"error": "Not confirmed", "errorcode": "usernotconfirmed"})
        return JSONResponse({"token": f"user-{found.id}", "privatetoken": None})

    async def _rest(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        if form.get("moodlewsrestformat") != "json":
            return Response("<?xml version='1.0'?><EXCEPTION/>", media_type="application/xml")
        self.calls.append(form["wsfunction"])
        return await self.answer(lambda: self._function(form))

    def _function(self, form: dict[str, str]) -> Response:
        name, token = form["wsfunction"], form["wstoken"]
        if name == "core_webservice_get_site_info" and token.startswith("user-"):
            return JSONResponse(self._site_info(self.people[int(token.removeprefix("user-"))]))
        if token != self.token:
            return moodle_error("invalidtoken", "Invalid token - token not found")
        if self.functions and name not in self.functions:
            return moodle_error("accessexception", "Access control exception", "webservice_access_exception")
        handler = getattr(self, f"_{name}", None)
        if handler is None:
            return moodle_error("invalidrecordunknown", "Can't find data record in database.")
        answer: Response = handler(form)
        return answer

    def _site_info(self, person: Person) -> dict[str, Any]:
        return {
            "sitename": "Campus",
            "username": person.username,
            "fullname": f"{person.first_name} {person.last_name}",
            "userid": person.id,
            "userissiteadmin": person.admin,
            "functions": [{"name": name, "version": "2025100600"} for name in self._offered()],
        }

    def _offered(self) -> tuple[str, ...]:
        return self.functions or tuple(n[1:] for n in dir(self) if re.match(r"_(core|enrol)_", n))

    def _core_webservice_get_site_info(self, form: dict[str, str]) -> Response:
        del form
        return JSONResponse(self._site_info(Person(2, "commerce-service", "", "")))

    def _core_user_get_users_by_field(self, form: dict[str, str]) -> Response:
        name, value = form["field"], form["values[0]"]
        found = [p for p in self.people.values() if str(getattr(p, name)) == value and not p.deleted]
        return JSONResponse(
            [
                {
                    "id": p.id,
                    "username": p.username,
                    "email": p.email,
                    "fullname": f"{p.first_name} {p.last_name}",
                    "suspended": p.suspended,
                }
                for p in found
            ]
        )

    def _core_user_create_users(self, form: dict[str, str]) -> Response:
        given = {name: form.get(f"users[0][{name}]", "") for name in ("username", "email", "password")}
        if len(given["password"]) < 8:
            return moodle_error("<div>Passwords must be at least 8 characters long.</div>", "error/weak")
        taken = any(
            p.username == given["username"] or p.email == given["email"] for p in self.people.values()
        )
        if taken or "@" not in given["email"] or not re.fullmatch(r"[-.@_a-z0-9]+", given["username"]):
            return moodle_error("invalidparameter", "Invalid parameter value detected", "invalid_parameter")
        made = self.person(
            **given, first_name=form["users[0][firstname]"], last_name=form["users[0][lastname]"]
        )
        return JSONResponse([{"id": made.id, "username": made.username}])

    def _core_course_get_courses_by_field(self, form: dict[str, str]) -> Response:
        found = [{"id": int(c)} for c in self.courses if c == form["value"]]
        return JSONResponse({"courses": found, "warnings": []})

    def _enrol_manual_enrol_users(self, form: dict[str, str]) -> Response:
        person = self.people.get(int(form["enrolments[0][userid]"]))
        course = form["enrolments[0][courseid]"]
        if course not in self.courses:
            return moodle_error("invalidparameter", "Invalid parameter value detected", "invalid_parameter")
        if course in self.without_manual:
            return moodle_error("wsnoinstance", "Manual enrolment plugin instance doesn't exist")
        if form["enrolments[0][roleid]"] != "5":
            return moodle_error("wsusercannotassign", "You don't have the permission to assign this role")
        if person is None:
            return moodle_error("invalidrecordunknown", "Can't find data record in database.")
        if person.deleted:
            return moodle_error("userdeleted", "This user was deleted")
        if not person.confirmed:
            return moodle_error("usernotconfirmed", "User not confirmed")
        self.enrol(person.id, course, active=True)
        return JSONResponse(None)

    def _enrol_manual_unenrol_users(self, form: dict[str, str]) -> Response:
        self.enrol(int(form["enrolments[0][userid]"]), form["enrolments[0][courseid]"], active=False)
        return JSONResponse(None)

    def _core_enrol_get_users_courses(self, form: dict[str, str]) -> Response:
        user = int(form["userid"])
        return JSONResponse(
            [
                {
                    "id": int(course),
                    "progress": self.progress.get((user, course)),
                    "completed": (user, course) in self.completed,
                }
                for (who, course), active in self.enrolled.items()
                if who == user and active
            ]
        )

    def _core_completion_get_course_completion_status(self, form: dict[str, str]) -> Response:
        key = (int(form["userid"]), form["courseid"])
        if not self.enrolled.get(key):
            return moodle_error("usernotenroled", "The user is not enrolled in this course")
        return JSONResponse(
            {
                "completionstatus": {"completed": key in self.completed, "aggregation": 1, "completions": []},
                "warnings": [],
            }
        )


# --- Open edX ---------------------------------------------------------------------------------------------


class OpenEdx(Wire):
    """Open edX's token, registration, account and enrolment APIs."""

    client = ("commerce", "client-secret")
    staff = True
    tokens_given = 0
    expired: set[str] = set()

    def app(self) -> Starlette:
        """The server."""
        return Starlette(
            routes=[
                Route("/oauth2/access_token/", self._token, methods=["POST"]),
                Route("/api/user/v1/account/registration/", self._register, methods=["POST"]),
                Route("/api/user/v1/accounts", self._accounts),
                Route("/api/enrollment/v1/enrollment", self._enrollment, methods=["POST"]),
                Route("/api/enrollment/v1/enrollment/{username},{course:path}", self._enrolment_of),
            ]
        )

    async def _token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        self.calls.append(f"token {form['grant_type']}")
        return await self.answer(lambda: self._token_for(form))

    def _token_for(self, form: dict[str, str]) -> Response:
        if (form["client_id"], form["client_secret"]) != self.client:
            return JSONResponse({"error": "invalid_client"}, 401)
        name = "commerce_service"
        if form["grant_type"] == "password":
            wanted = form["username"]
            found = next((p for p in self.people.values() if wanted in (p.username, p.email)), None)
            if found is None or found.password != form["password"]:
                return JSONResponse(
                    {"error": "invalid_grant", "error_description": "Invalid credentials given."}, 400
                )
            name = found.username
        self.tokens_given += 1
        claims = base64.urlsafe_b64encode(
            json.dumps({"preferred_username": name, "n": self.tokens_given}).encode()
        )
        token = f"e30.{claims.decode().rstrip('=')}.sig"
        return JSONResponse({"access_token": token, "expires_in": 3600, "token_type": "JWT", "scope": "read"})

    async def _register(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        return await self.answer(lambda: self._made(form))

    def _made(self, form: dict[str, str]) -> Response:
        if len(form["password"]) < 8:
            return JSONResponse({"password": [{"user_message": "This password is too short."}]}, 400)
        for name in ("email", "username"):
            if any(getattr(p, name) == form[name] for p in self.people.values()):
                return JSONResponse(
                    {
                        name: [{"user_message": f"It looks like this {name} is taken."}],
                        "error_code": f"duplicate-{name}",
                    },
                    409,
                )
        made = self.person(**{name: form[name] for name in ("username", "email", "password")})
        return JSONResponse({"success": True, "authenticated_user": {"user_id": made.id}})

    def _refused(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "JWT" or token in self.expired:
            return JSONResponse({"detail": "Signature has expired."}, 401)
        return None

    async def _accounts(self, request: Request) -> Response:
        self.calls.append("accounts")
        return self._refused(request) or await self.answer(lambda: self._found(dict(request.query_params)))

    def _found(self, query: dict[str, str]) -> Response:
        if not self.staff:
            return JSONResponse({"detail": "not allowed"}, 403)
        name, value = next(iter(query.items()))
        attribute = {"lms_user_id": "id"}.get(name, name)
        found = [p for p in self.people.values() if str(getattr(p, attribute)) == value and not p.deleted]
        if not found:
            return Response(status_code=404)
        return JSONResponse(
            [
                {
                    "id": p.id,
                    "username": p.username,
                    "email": p.email,
                    "name": f"{p.first_name} {p.last_name}",
                    "is_active": p.confirmed,
                }
                for p in found
            ]
        )

    async def _enrollment(self, request: Request) -> Response:
        body = await request.json()
        self.calls.append("enrollment")
        return self._refused(request) or await self.answer(lambda: self._enrolled(body))

    async def _enrolment_of(self, request: Request) -> Response:
        self.calls.append("enrolment of")
        return self._refused(request) or await self.answer(lambda: self._read(**request.path_params))

    def _read(self, username: str, course: str) -> Response:
        if not self.staff:
            return Response(status_code=404)
        person = next((p for p in self.people.values() if p.username == username), None)
        active = None if person is None else self.enrolled.get((person.id, course))
        if active is None:  # never enrolled: a success without content, as the framework there renders None
            return Response(media_type="application/json")
        return JSONResponse({"user": username, "mode": "audit", "is_active": active})

    def _enrolled(self, body: dict[str, Any]) -> Response:
        if not self.staff:
            return Response(status_code=404)
        person = next((p for p in self.people.values() if p.username == body["user"]), None)
        if person is None:
            return JSONResponse({"message": "The user was not found."}, 406)
        course = body["course_details"]["course_id"]
        if course not in self.courses or (body["is_active"] and body.get("mode") != "audit"):
            return JSONResponse({"message": f"No course '{course}' found for enrollment"}, 400)
        if not body["is_active"] and "mode" in body:
            return JSONResponse({"message": "a deactivation may not change the mode"}, 400)
        self.enrol(person.id, course, active=body["is_active"])
        return JSONResponse({"user": person.username, "mode": "audit", "is_active": body["is_active"]})


@asynccontextmanager
async def serving(wire: Moodle | OpenEdx) -> AsyncIterator[str]:
    """The server's base address, while it runs in this loop."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(wire.app(), log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        wire.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield wire.base_url
        finally:
            server.should_exit = True
            await task
