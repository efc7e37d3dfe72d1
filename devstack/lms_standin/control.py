"""Typed client of the stand-in LMS's control routes, for tests and demonstrations."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, Self

import httpx

from devstack.lms_standin.faults import Kind
from devstack.lms_standin.seed import PASSWORD


@dataclass(frozen=True)
class LogEntry:
    """One call of grant or revoke; `outcome` is ok, an error code or `fault:<kind>`."""

    seq: int
    at: str
    operation: str
    user_id: str
    course_id: str
    changed: bool
    outcome: str


@dataclass(frozen=True)
class Enrolment:
    """A user who may enter a course now."""

    user_id: str
    course_id: str
    since: str


@dataclass(frozen=True)
class Completion:
    """A completed course and the id of its event; `changed` is False when it was completed before."""

    event_id: str
    completed_at: str
    changed: bool


@dataclass(frozen=True)
class Delivery:
    """One queued copy of an event: state pending, held, dropped or delivered."""

    id: int
    event_id: str
    type: str
    body: dict[str, Any]
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None


def to_delivery(row: dict[str, Any]) -> Delivery:
    """A delivery of its JSON."""
    return Delivery(**{field.name: row[field.name] for field in fields(Delivery)})


class ControlClient:
    """The HTTP side of a control client; an async context manager."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        # Plain http on loopback: without verify=False, most of the time would go into loading certificates.
        self._http = httpx.AsyncClient(base_url=self.base_url, timeout=10, trust_env=False, verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def healthy(self) -> bool:
        """Whether the stand-in answers."""
        try:
            return (await self._http.get("/healthz")).is_success
        except httpx.HTTPError:
            return False

    async def _call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = await self._http.request(method, f"/_test/{path}", json=body or None)
        return _checked(answer)

    async def _read(self, path: str, **query: str | None) -> list[dict[str, Any]]:
        given = {name: value for name, value in query.items() if value is not None}
        answer = await self._http.get(f"/_test/{path}", params=given)
        rows: list[dict[str, Any]] = _checked(answer)["data"]
        return rows


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        request = answer.request
        raise RuntimeError(f"{request.method} {request.url} answered {answer.status_code}: {answer.text}")
    content: dict[str, Any] = answer.json()
    return content


class LmsControl(ControlClient):
    """Moves the stand-in LMS. `user` is an id, an email or a user name."""

    async def users(self) -> list[dict[str, Any]]:
        """All users, as the protocol shows them."""
        return await self._read("users")

    async def add_user(self, email: str, *, password: str = PASSWORD, role: str = "learner") -> str:
        """Make a user; returns the id."""
        return str((await self._call("POST", "users", email=email, password=password, role=role))["id"])

    async def token(self, user_id: str, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """An access token of the LMS for a user; `claims` and `headers` stand in place of its own."""
        given = {"claims": {"sub": user_id, **claims}, "headers": headers or {}}
        return str((await self._call("POST", "tokens", **given))["token"])

    async def rotate_keys(self) -> None:
        """From now on another key signs, and it alone is published."""
        await self._call("POST", "tokens/rotate")

    async def add_course(self, course_id: str, title: str) -> None:
        """Make a course."""
        await self._call("POST", "courses", id=course_id, title=title)

    async def remove_course(self, course_id: str) -> None:
        """Take a course away."""
        await self._call("DELETE", f"courses/{course_id}")

    async def enrolments(self, user_id: str | None = None, course_id: str | None = None) -> list[Enrolment]:
        """Who is enrolled now."""
        rows = await self._read("enrolments", user_id=user_id, course_id=course_id)
        return [Enrolment(**row) for row in rows]

    async def log(self, user_id: str | None = None, course_id: str | None = None) -> list[LogEntry]:
        """Every call of grant and revoke, oldest first."""
        rows = await self._read("log", user_id=user_id, course_id=course_id)
        return [LogEntry(**row) for row in rows]

    async def complete(self, user: str, course_id: str, completed_at: str | None = None) -> Completion:
        """Complete a course, enrolled or not; the event is sent the first time only."""
        return Completion(
            **await self._call("POST", "complete", user=user, course_id=course_id, completed_at=completed_at)
        )

    async def take_back(self, user: str, course_id: str) -> str | None:
        """Say that a course is not completed after all; the event's id, None when it never was."""
        event_id: str | None = (await self._call("POST", "take-back", user=user, course_id=course_id))[
            "event_id"
        ]
        return event_id

    async def set_progress(self, user: str, course_id: str, progress: float) -> None:
        """Set the progress, from 0 to 1."""
        await self._call("POST", "progress", user=user, course_id=course_id, progress=progress)

    async def suspend(self, user: str, *, suspended: bool = True) -> None:
        """Suspend an account, or end that."""
        await self._call("POST", "suspend", user=user, suspended=suspended)

    async def unconfirm(self, user: str, *, confirmed: bool = False) -> None:
        """Make an account unconfirmed, or confirm it."""
        await self._call("POST", "unconfirm", user=user, confirmed=confirmed)

    async def rename(self, user: str, **changes: str) -> str:
        """Change email, username, first_name, last_name or role; returns the id of `user.updated`."""
        return str((await self._call("POST", "rename", user=user, **changes))["event_id"])

    async def delete(self, user: str) -> str:
        """Erase an account; returns the id of `user.deleted`."""
        return str((await self._call("POST", "delete", user=user))["event_id"])

    async def merge(self, user: str, into: str) -> str:
        """Make two accounts one; `user` ends. Returns the id of `user.merged`."""
        return str((await self._call("POST", "merge", user=user, into=into))["event_id"])

    async def fault(
        self,
        operation: str,
        kind: Kind,
        *,
        count: int | None = 1,
        seconds: float = 0.0,
        retry_after: str | None = None,
        code: str = "refused",
        status: int = 422,
        user_id: str | None = None,
        course_id: str | None = None,
    ) -> None:
        """Put a fault in force for the next `count` matching calls (None: until cleared)."""
        await self._call(
            "POST",
            "faults",
            operation=operation,
            kind=kind,
            count=count,
            seconds=seconds,
            retry_after=retry_after,
            code=code,
            status=status,
            user_id=user_id,
            course_id=course_id,
        )

    async def faults(self) -> list[dict[str, Any]]:
        """The faults in force."""
        return await self._read("faults")

    async def clear_faults(self) -> None:
        """End all faults."""
        await self._call("DELETE", "faults")

    async def chaos(
        self,
        *,
        duplicate: int = 0,
        reorder: int = 0,
        delay_seconds: float = 0.0,
        drop: bool = False,
        count: int | None = None,
    ) -> None:
        """Spoil the next `count` events (None: all from now on); without arguments: end the chaos."""
        await self._call(
            "PUT",
            "chaos",
            duplicate=duplicate,
            reorder=reorder,
            delay_seconds=delay_seconds,
            drop=drop,
            count=count,
        )

    async def deliveries(self, event_id: str | None = None) -> Sequence[Delivery]:
        """Every queued copy of every event, or of one event."""
        return [to_delivery(row) for row in await self._read("deliveries", event_id=event_id)]

    async def release(self, state: str = "dropped") -> int:
        """Send dropped (or held) events after all; returns how many."""
        return int((await self._call("POST", "deliveries/release", state=state))["released"])

    async def send_again(self, event_id: str) -> None:
        """Send one more copy of an event."""
        await self._call("POST", f"events/{event_id}/send")

    async def point_webhooks_to(self, url: str | None = None, secret: str | None = None) -> None:
        """Send to another address, or sign with another secret, until the next start."""
        await self._call("PUT", "webhook", url=url, secret=secret)

    async def reset(self) -> None:
        """Back to the seed."""
        await self._call("POST", "reset")
