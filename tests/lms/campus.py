"""One face for three LMSs: the stand-in as a process, and servers that speak Moodle's and Open edX's wire.

A case of the contract says what happens at the LMS (`fault`, `unconfirm`, `delete`) without naming its make.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import httpx
from starlette.responses import JSONResponse, Response

from devstack.lms_standin.control import LmsControl
from devstack.lms_standin.faults import Kind
from integrations.lms import Lms, LmsAccess, make_lms
from tests.lms.wire import (
    Moodle,
    OpenEdx,
    forbidden_request,
    limit_page,
    limited,
    moodle_error,
    page,
    thrown_by_php,
    unavailable,
)

PASSWORD = "commerce-demo"

Operation = Literal["authenticate", "register", "get_user", "grant", "revoke"]
OPERATIONS: tuple[Operation, ...] = ("authenticate", "register", "get_user", "grant", "revoke")

Trouble = Literal[
    "page under 503",
    "page under 200",
    "429",
    "its own rate limit",
    "its own sign of a busy database",
    "answer lost",
]
NO_EFFECT: tuple[Trouble, ...] = (
    "page under 503",
    "429",
    "its own rate limit",
    "its own sign of a busy database",
)

Refusal = Literal["a code that nobody knows", "an error without a code", "405", "410"]
REFUSALS: tuple[Refusal, ...] = ("a code that nobody knows", "an error without a code", "405", "410")


class Campus(ABC):
    """One LMS, its adapter, and a learner and a course that are there."""

    lms: Lms
    learner: str
    course: str
    access: LmsAccess
    refusals: tuple[Refusal, ...] = REFUSALS
    """What this LMS has of them."""

    def __init__(self, access: LmsAccess, http: httpx.AsyncClient) -> None:
        self.access = access
        self._http = http
        self.lms = make_lms(access, http)

    def with_access(self, **changes: str) -> Lms:
        """The adapter with other settings."""
        return make_lms(replace(self.access, **changes), self._http)  # type: ignore[arg-type]

    @abstractmethod
    def with_wrong_secret(self) -> Lms:
        """The adapter with credentials that are nobody's."""

    @abstractmethod
    async def changes(self) -> list[str]:
        """Grants and revokes that changed something, in order."""

    @abstractmethod
    async def accounts(self, email: str) -> int:
        """How many accounts have this email."""

    @abstractmethod
    async def unconfirm(self) -> None:
        """The learner has yet to confirm their email."""

    @abstractmethod
    async def delete(self) -> None:
        """The learner's account is gone."""

    @abstractmethod
    async def rename(self, username: str) -> None:
        """The learner's user name is another."""

    @abstractmethod
    async def trouble(self, kind: Trouble, operation: Operation, times: int = 1) -> None:
        """So goes the next call of the operation; `answer lost` lets it have its effect."""

    @abstractmethod
    async def refuse(self, kind: Refusal, operation: Operation) -> None:
        """So is every call of the operation answered from now on."""

    @abstractmethod
    async def asked(self, operation: Operation) -> int:
        """How often the call of the operation came, faults included."""


class StandinCampus(Campus):
    """The stand-in: its own protocol says errors with 4xx, or under 200."""

    learner = "104"
    course = "python-101"
    _CALLS: dict[Operation, str] = {"authenticate": "login"}

    def __init__(self, control: LmsControl, token: str, http: httpx.AsyncClient) -> None:
        super().__init__(LmsAccess("standin", control.base_url, token), http)
        self._control = control

    def with_wrong_secret(self) -> Lms:
        return self.with_access(token="wrong")

    async def changes(self) -> list[str]:
        return [entry.operation for entry in await self._control.log() if entry.changed]

    async def accounts(self, email: str) -> int:
        return sum(user["email"] == email for user in await self._control.users())

    async def unconfirm(self) -> None:
        await self._control.unconfirm(self.learner)

    async def delete(self) -> None:
        await self._control.delete(self.learner)

    async def rename(self, username: str) -> None:
        await self._control.rename(self.learner, username=username)

    async def trouble(self, kind: Trouble, operation: Operation, times: int = 1) -> None:
        kinds: dict[Trouble, Kind] = {
            "page under 503": "unavailable_html",
            "page under 200": "html_200",
            "429": "rate_limited",
            "its own rate limit": "rate_limited",
            "its own sign of a busy database": "server_error",
            "answer lost": "error_after_effect",
        }
        call = self._CALLS.get(operation, operation)
        await self._control.fault(call, kinds[kind], count=times, retry_after="7" if kind == "429" else None)

    async def refuse(self, kind: Refusal, operation: Operation) -> None:
        under_200 = kind == "an error without a code"
        status = {"405": 405, "410": 410}.get(kind, 422)
        await self._control.fault(
            self._CALLS.get(operation, operation),
            "error_200" if under_200 else "reject",
            code="no_such_reason",
            status=status,
            count=None,
        )

    async def asked(self, operation: Operation) -> int:
        return len([entry for entry in await self._control.log() if entry.operation == operation])


class WireCampus(Campus):
    """An emulated wire in this process."""

    learner = "101"
    wire: Moodle | OpenEdx
    calls: dict[Operation, str]

    def __init__(self, wire: Moodle | OpenEdx, access: LmsAccess, http: httpx.AsyncClient) -> None:
        super().__init__(access, http)
        self.wire = wire
        wire.person(username="learner", email="learner@example.com", password=PASSWORD)
        wire.courses.add(self.course)

    async def changes(self) -> list[str]:
        return [operation for operation, _, _ in self.wire.changes]

    async def accounts(self, email: str) -> int:
        return sum(person.email == email for person in self.wire.people.values())

    async def unconfirm(self) -> None:
        self.wire.people[101].confirmed = False

    async def delete(self) -> None:
        self.wire.people[101].deleted = True

    async def rename(self, username: str) -> None:
        self.wire.people[101].username = username

    async def asked(self, operation: Operation) -> int:
        return self.wire.calls.count(self.calls[operation])

    def _fail(self, answer: Callable[[], Response], operation: Operation, times: int, *, after: bool) -> None:
        self.wire.fail(answer, times, after=after, on=self.calls[operation])


class MoodleCampus(WireCampus):
    """Moodle: errors under 200."""

    course = "42"
    wire: Moodle
    calls: dict[Operation, str] = {
        "authenticate": "login",
        "register": "core_user_create_users",
        "get_user": "core_user_get_users_by_field",
        "grant": "enrol_manual_enrol_users",
        "revoke": "enrol_manual_unenrol_users",
    }
    refusals = ("a code that nobody knows", "an error without a code")

    def __init__(self, wire: Moodle, http: httpx.AsyncClient) -> None:
        access = LmsAccess("moodle", wire.base_url, token=wire.token, login_service=wire.service)
        super().__init__(wire, access, http)

    def with_wrong_secret(self) -> Lms:
        return self.with_access(token="wrong")

    async def trouble(self, kind: Trouble, operation: Operation, times: int = 1) -> None:
        answers: dict[Trouble, Callable[[], Response]] = {
            "page under 503": unavailable,
            "page under 200": page,
            "429": limited,
            "its own rate limit": lambda: moodle_error("dbconnectionfailed"),  # Moodle has none
            "its own sign of a busy database": lambda: moodle_error("dmlwriteexception"),
            "answer lost": unavailable,
        }
        self._fail(answers[kind], operation, times, after=kind == "answer lost")

    async def refuse(self, kind: Refusal, operation: Operation) -> None:
        answer = thrown_by_php
        if kind == "a code that nobody knows":
            answer = lambda: moodle_error("nosuchreason")  # noqa: E731
        self._fail(answer, operation, 50, after=False)


class OpenEdxCampus(WireCampus):
    """Open edX: errors by status, rate limits under 403."""

    course = "course-v1:edX+Demo+2026"
    wire: OpenEdx
    calls: dict[Operation, str] = {
        "authenticate": "token password",
        "register": "registration",
        "get_user": "accounts",
        "grant": "enrollment",
        "revoke": "enrollment",
    }

    def __init__(self, wire: OpenEdx, http: httpx.AsyncClient) -> None:
        client, login = wire.client, wire.login_client
        access = LmsAccess(
            "openedx",
            wire.base_url,
            client_id=client[0],
            client_secret=client[1],
            login_client_id=login[0],
            login_client_secret=login[1],
        )
        super().__init__(wire, access, http)

    def with_wrong_secret(self) -> Lms:
        return self.with_access(client_secret="wrong", login_client_secret="wrong")

    async def trouble(self, kind: Trouble, operation: Operation, times: int = 1) -> None:
        answers: dict[Trouble, Callable[[], Response]] = {
            "page under 503": unavailable,
            "page under 200": page,
            "429": limited,
            "its own rate limit": forbidden_request,
            "its own sign of a busy database": limit_page,
            "answer lost": unavailable,
        }
        self._fail(answers[kind], operation, times, after=kind == "answer lost")

    async def refuse(self, kind: Refusal, operation: Operation) -> None:
        status = {"405": 405, "410": 410}.get(kind, 418)
        content = {"message": "no such reason"} if kind == "a code that nobody knows" else {}
        self._fail(lambda: JSONResponse(content, status), operation, 50, after=False)
