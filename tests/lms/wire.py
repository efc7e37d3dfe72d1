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

    A fault is a function that makes an answer, for the next call of its name (or of any); `after` lets the
    effect happen first.
    """

    people: dict[int, Person] = field(default_factory=dict)
    courses: set[str] = field(default_factory=set)
    enrolled: dict[tuple[int, str], bool] = field(default_factory=dict)
    changes: list[tuple[str, int, str]] = field(default_factory=list)
    faults: list[tuple[str | None, Callable[[], Response], bool]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    base_url: str = ""

    def person(self, **given: Any) -> Person:
        """A new account."""
        number = 101 + len(self.people)
        self.people[number] = Person(id=number, **given)
        return self.people[number]

    def fail(
        self, answer: Callable[[], Response], times: int = 1, *, after: bool = False, on: str | None = None
    ) -> None:
        """Answer so the next `times` calls of the name `on`; with `after`, once each has had its effect."""
        self.faults += [(on, answer, after)] * times

    def enrol(self, user: int, course: str, *, active: bool) -> None:
        """Keep what changed."""
        if self.enrolled.get((user, course), False) != active:
            self.enrolled[user, course] = active
            self.changes.append(("grant" if active else "revoke", user, course))

    def answer(self, name: str, work: Callable[[], Response]) -> Response:
        """The answer, or the fault that is due."""
        self.calls.append(name)
        for index, (on, fault, after) in enumerate(self.faults):
            if on in (None, name):
                del self.faults[index]
                if after:
                    work()
                return fault()
        return work()


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


def login_error(code: str, message: str) -> Response:
    """An error as the login script tells it."""
    return JSONResponse({"error": message, "errorcode": code, "stacktrace": None})


def thrown_by_php() -> Response:
    """What is no exception of Moodle's own has no code."""
    return JSONResponse({"exception": "TypeError", "message": "Unsupported operand types: string + int"})


class Moodle(Wire):
    """Moodle 5.1's REST web services and login script."""

    token = "service-token-of-moodle"
    service = "commerce_login"
    functions: tuple[str, ...] = ()
    """What the service of the token offers; everything when empty."""
    unknown_functions: frozenset[str] = frozenset()
    """What this Moodle does not have at all."""
    web_services = True
    sees_emails = True
    """The service's user has moodle/site:viewuseridentity."""
    sees_participants = True
    """... and moodle/course:viewparticipants."""
    first_administrator: Person | None = Person(2, "admin", "admin@example.com", "")
    tokens_made_by_hand: frozenset[int] = frozenset()
    logins: list[str] = []
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
        form = {key: str(value) for key, value in (await request.form()).items()}
        return self.answer("login", lambda: self._token_for(form))

    def _token_for(self, form: dict[str, str]) -> Response:
        """The password comes first, then the account, then the service, then who may have a token."""
        if not self.web_services:
            return login_error("enablewsdescription", "Web services are disabled")
        if form.get("appsitecheck"):
            return JSONResponse({"appsitecheck": "ok"})
        self.logins = [*self.logins, form["username"]]
        found = next(
            (p for p in self.people.values() if p.username == form["username"] and not p.deleted), None
        )
        if found is None or found.password != form["password"] or found.suspended:
            return login_error("invalidlogin", "Invalid login, please try again")
        if not found.confirmed:
            return login_error("usernotconfirmed", "Not confirmed")
        if form.get("service") != self.service:
            return login_error("servicenotavailable", "Web service is not available")
        if found.admin and found.id not in self.tokens_made_by_hand:
            return login_error("cannotcreatetoken", "No permission to create a token for this service")
        return JSONResponse({"token": f"user-{found.id}", "privatetoken": None})

    async def _rest(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        if form.get("moodlewsrestformat") != "json":
            return Response("<?xml version='1.0'?><EXCEPTION/>", media_type="application/xml")
        return self.answer(form["wsfunction"], lambda: self._function(form))

    def _function(self, form: dict[str, str]) -> Response:
        name, token = form["wsfunction"], form["wstoken"]
        if name == "core_webservice_get_site_info" and token.startswith("user-"):
            return JSONResponse(self._site_info(self.people[int(token.removeprefix("user-"))]))
        if token != self.token:
            return moodle_error("invalidtoken", "Invalid token - token not found")
        if self.functions and name not in self.functions:
            return moodle_error("accessexception", "Access control exception", "webservice_access_exception")
        handler = getattr(self, f"_{name}", None)
        if handler is None or name in self.unknown_functions:
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
        known = self.functions or tuple(n[1:] for n in dir(self) if re.match(r"_(core|enrol)_", n))
        return tuple(name for name in known if name not in self.unknown_functions)

    def _core_webservice_get_site_info(self, form: dict[str, str]) -> Response:
        del form
        return JSONResponse(self._site_info(Person(3, "commerce-service", "", "")))

    def _core_user_get_users_by_field(self, form: dict[str, str]) -> Response:
        name, value = form["field"], form["values[0]"]
        people = [*self.people.values(), *filter(None, [self.first_administrator])]
        found = [p for p in people if str(getattr(p, name)) == value and not p.deleted]
        if name == "email" and not self.sees_emails:
            found = []  # nobody is found by what may not be seen
        return JSONResponse(
            [
                {
                    "id": p.id,
                    "username": p.username,
                    "fullname": f"{p.first_name} {p.last_name}",
                    "suspended": p.suspended,
                }
                | ({"email": p.email} if self.sees_emails else {})
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
        if person is None:
            return moodle_error("invalidrecordunknown", "Can't find data record in database.")
        if person.deleted:
            return moodle_error("userdeleted", "This user was deleted")
        if not person.confirmed:
            return moodle_error("usernotconfirmed", "User not confirmed")
        if form["enrolments[0][roleid]"] != "5":
            return moodle_error("wsusercannotassign", "You don't have the permission to assign this role")
        if course in self.without_manual:
            return moodle_error("wsnoinstance", "Manual enrolment plugin instance doesn't exist")
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
                if who == user and active and self.sees_participants
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


def forbidden_request() -> Response:
    """Open edX's own rate limit."""
    return JSONResponse({"error_code": "forbidden-request"}, 403)


def limit_page() -> Response:
    """... and that of its proxy: a page."""
    return HTMLResponse("<html>Too many requests</html>", 403)


class OpenEdx(Wire):
    """Open edX's token, registration, account and enrolment APIs."""

    client = ("commerce", "client-secret")
    login_client = ("commerce-login", "login-secret")
    staff = True
    guards_accounts = True
    """Whether looking accounts up by id or email is staff's alone, as in newer releases."""
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
                Route("/heartbeat", self._heartbeat),
                Route("/api/enrollment/v1/enrollment/{username},{course:path}", self._enrolment_of),
            ]
        )

    async def _token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        return self.answer(f"token {form['grant_type']}", lambda: self._token_for(form))

    async def _heartbeat(self, request: Request) -> Response:
        del request
        return self.answer("heartbeat", lambda: JSONResponse({"sql": {"status": True}}))

    def _token_for(self, form: dict[str, str]) -> Response:
        """An application has one grant type; a password is looked at before it."""
        grant_types = {self.client: "client_credentials", self.login_client: "password"}
        allowed = grant_types.get((form["client_id"], form["client_secret"]))
        if allowed is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        name = "commerce_service"
        if form["grant_type"] == "password":
            wanted = form["username"]
            found = next((p for p in self.people.values() if wanted in (p.username, p.email)), None)
            if found is None or found.password != form["password"] or found.deleted:
                return JSONResponse(
                    {"error": "invalid_grant", "error_description": "Invalid credentials given."}, 400
                )
            name = found.username
        if form["grant_type"] != allowed:
            return JSONResponse({"error": "unauthorized_client"}, 400)
        self.tokens_given += 1
        claims = base64.urlsafe_b64encode(
            json.dumps({"preferred_username": name, "n": self.tokens_given}).encode()
        )
        token = f"e30.{claims.decode().rstrip('=')}.sig"
        return JSONResponse({"access_token": token, "expires_in": 3600, "token_type": "JWT", "scope": "read"})

    async def _register(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        return self.answer("registration", lambda: self._made(form))

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
        query = dict(request.query_params)
        return self.answer("accounts", lambda: self._refused(request) or self._found(query))

    def _found(self, query: dict[str, str]) -> Response:
        name, value = next(iter(query.items()))
        if not self.staff and self.guards_accounts and name != "username":
            return JSONResponse({"detail": "You do not have permission to perform this action."}, 403)
        attribute = {"lms_user_id": "id"}.get(name, name)
        found = [p for p in self.people.values() if str(getattr(p, attribute)) == value and not p.deleted]
        if not found:
            return Response(status_code=404)
        if not self.staff:
            shared = {"account_privacy": "private", "profile_image": {"has_image": False}}
            return JSONResponse([{"username": p.username, **shared} for p in found])
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
        return self.answer("enrollment", lambda: self._refused(request) or self._enrolled(body))

    async def _enrolment_of(self, request: Request) -> Response:
        return self.answer(
            "enrolment of", lambda: self._refused(request) or self._read(**request.path_params)
        )

    def _read(self, username: str, course: str) -> Response:
        if not self.staff:
            return Response(status_code=404)
        person = next((p for p in self.people.values() if p.username == username), None)
        active = None if person is None else self.enrolled.get((person.id, course))
        if active is None:  # never enrolled: a success without content, as the framework there renders None
            return Response(media_type="application/json")
        return JSONResponse({"user": username, "mode": "audit", "is_active": active})

    def _enrolled(self, body: dict[str, Any]) -> Response:
        course = body["course_details"]["course_id"]
        unknown = JSONResponse({"message": f"No course '{course}' found for enrollment"}, 400)
        if not re.fullmatch(r"course-v1:[^/+]+\+[^/+]+\+[^/+]+", course):
            return unknown
        if not self.staff:
            return Response(status_code=404)
        person = next((p for p in self.people.values() if p.username == body["user"]), None)
        if person is None:
            return JSONResponse({"message": f"The user {body['user']} does not exist."}, 406)
        if course not in self.courses or (body["is_active"] and body.get("mode") != "audit"):
            return unknown
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
