"""What commerce asks of an LMS, whatever its make.

The LMS owns identity, enrolment and completion. `grant` and `revoke` state a desired end: "already
enrolled" and "not enrolled" are success. No LMS has an idempotency key, so the caller sees to the order
of grants and revokes for one user and course.

Every method raises `LmsUnavailable` when the outcome is open (ask again later) and `LmsRejected` or one
of its subclasses when the LMS said no for good.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class LmsUser:
    """A user as the LMS knows them. Only `id` may be used to tell users apart."""

    id: str
    username: str
    email: str | None
    full_name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LmsCheck:
    """Whether the LMS can be used as configured; else what to look at."""

    ok: bool
    address: str
    detail: str
    setting: str | None = None
    """The environment variable that is probably wrong; None when all is well."""
    away: bool = False
    """The LMS gave no answer that says anything of our settings: ask again later."""
    not_checked: tuple[str, ...] = ()
    """What no call can find out, in words, with what would show it."""


class Lms(Protocol):
    """An LMS."""

    async def authenticate(self, username: str, password: str) -> LmsUser:
        """The user who owns this password; BadCredentials or UserNotReady else."""
        ...

    async def register(
        self,
        *,
        email: str,
        username: str,
        password: str,
        first_name: str,
        last_name: str,
        resuming: bool = False,
    ) -> LmsUser:
        """Make an account; UserExists or LmsInvalidInput else.

        After a lost answer the call is repeated, and an account that is there by then counts as made by
        us only if it opens with the same password; never because its email matches. `resuming` says that
        an earlier call for the same request may have had its effect already.
        """
        ...

    async def get_user(self, user_id: str) -> LmsUser | None:
        """The user of this id, or None when there is none (any more)."""
        ...

    async def grant(self, user_id: str, course_id: str) -> None:
        """Let the user into the course; UnknownUser, UserNotReady or UnknownCourse else."""
        ...

    async def revoke(self, user_id: str, course_id: str) -> None:
        """Shut the user out of the course."""
        ...

    async def enrolled(self, user_id: str, course_id: str) -> bool:
        """Whether the user may enter the course now; False also for a user or course that is not there."""
        ...

    async def progress(self, user_id: str, course_id: str) -> float | None:
        """How far the user is, from 0 to 1; None when not enrolled or not known."""
        ...

    def course_url(self, course_id: str) -> str:
        """Where a browser finds the course."""
        ...

    async def reach(self) -> None:
        """Whether the LMS answers at all, by the cheapest question; LmsUnavailable else."""
        ...

    async def check(self) -> LmsCheck:
        """Whether the LMS is reachable, accepts our credentials and lets us do what we need; never raises."""
        ...


@runtime_checkable
class PollsCompletion(Protocol):
    """An LMS that sends no event at completion, so that commerce has to ask."""

    async def completed(self, user_id: str, course_id: str) -> bool | None:
        """Whether the user has completed the course; None when the LMS can't say, as of who is not enrolled:
        a completion outlives the enrolment."""
        ...
