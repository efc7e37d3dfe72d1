"""Courses, enrolments, progress and completion of the stand-in LMS, and the log of every grant and revoke."""

import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

from devstack.lms_standin import seed
from devstack.lms_standin.database import transaction, utc_text
from devstack.lms_standin.users import Refused, User, Users

SCHEMA = """
CREATE TABLE IF NOT EXISTS course (id TEXT PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS enrolment (
    user_id TEXT NOT NULL, course_id TEXT NOT NULL, since TEXT NOT NULL, PRIMARY KEY (user_id, course_id)
);
CREATE TABLE IF NOT EXISTS study (
    user_id TEXT NOT NULL,
    course_id TEXT NOT NULL,
    progress REAL NOT NULL DEFAULT 0,
    completed_at TEXT,
    event_id TEXT,
    PRIMARY KEY (user_id, course_id)
);
CREATE TABLE IF NOT EXISTS enrolment_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    operation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    course_id TEXT NOT NULL,
    changed INTEGER NOT NULL,
    outcome TEXT NOT NULL
);
"""

_OF_PAIR = " WHERE (?1 IS NULL OR user_id = ?1) AND (?2 IS NULL OR course_id = ?2)"


@dataclass(frozen=True)
class Study:
    """How far a user is in a course."""

    progress: float
    completed_at: str | None
    event_id: str | None


class Enrolments:
    """Who may enter which course."""

    def __init__(self, connection: sqlite3.Connection, users: Users) -> None:
        self._db = connection
        self._users = users

    def seed(self) -> None:
        """Make the seeded courses that do not exist."""
        for course_id, title in seed.COURSES:
            self._db.execute("INSERT OR IGNORE INTO course (id, title) VALUES (?, ?)", (course_id, title))

    def courses(self) -> list[tuple[str, str]]:
        """Ids and titles."""
        return [(row["id"], row["title"]) for row in self._db.execute("SELECT * FROM course ORDER BY rowid")]

    def title(self, course_id: str) -> str | None:
        """The title of a course, or None when there is none."""
        row = self._db.execute("SELECT title FROM course WHERE id = ?", (course_id,)).fetchone()
        return None if row is None else str(row["title"])

    def add_course(self, course_id: str, title: str) -> None:
        """Make or rename a course."""
        self._db.execute(
            "INSERT INTO course (id, title) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET title = ?2",
            (course_id, title),
        )

    def remove_course(self, course_id: str) -> None:
        """Take a course away; its enrolments go with it."""
        with transaction(self._db):
            self._db.execute("DELETE FROM course WHERE id = ?", (course_id,))
            self._db.execute("DELETE FROM enrolment WHERE course_id = ?", (course_id,))

    def grant(self, user_id: str, course_id: str) -> bool:
        """Let the user in; returns whether that changed anything."""
        user = self._users.get(user_id)
        if user is None:
            raise Refused(404, "unknown_user", f"no user {user_id!r}")
        if self.title(course_id) is None:
            raise Refused(404, "unknown_course", f"no course {course_id!r}")
        if not user.ready:
            raise Refused(403, "user_not_ready", "the account is suspended or not confirmed yet")
        with transaction(self._db):
            done = self._db.execute(
                "INSERT OR IGNORE INTO enrolment (user_id, course_id, since) VALUES (?, ?, ?)",
                (user_id, course_id, utc_text()),
            )
            self.log("grant", user_id, course_id, changed=done.rowcount > 0)
        return done.rowcount > 0

    def revoke(self, user_id: str, course_id: str) -> bool:
        """Shut the user out; who was never in (or never existed) is out already."""
        with transaction(self._db):
            done = self._db.execute(
                "DELETE FROM enrolment WHERE user_id = ? AND course_id = ?", (user_id, course_id)
            )
            self.log("revoke", user_id, course_id, changed=done.rowcount > 0)
        return done.rowcount > 0

    def log(
        self, operation: str, user_id: str, course_id: str, *, changed: bool, outcome: str = "ok"
    ) -> None:
        """Write down one call of grant or revoke."""
        self._db.execute(
            "INSERT INTO enrolment_log (at, operation, user_id, course_id, changed, outcome)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (utc_text(), operation, user_id, course_id, changed, outcome),
        )

    def log_listing(self, user_id: str | None, course_id: str | None) -> list[dict[str, Any]]:
        """The log, oldest first."""
        rows = self._db.execute(f"SELECT * FROM enrolment_log {_OF_PAIR} ORDER BY seq", (user_id, course_id))
        return [dict(row) | {"changed": bool(row["changed"])} for row in rows]

    def listing(self, user_id: str | None, course_id: str | None) -> list[dict[str, Any]]:
        """Who is enrolled now."""
        rows = self._db.execute(f"SELECT * FROM enrolment {_OF_PAIR} ORDER BY since", (user_id, course_id))
        return [dict(row) for row in rows]

    def is_enrolled(self, user_id: str, course_id: str) -> bool:
        """Whether the user may enter the course."""
        return bool(self.listing(user_id, course_id))

    def study(self, user_id: str, course_id: str) -> Study:
        """Progress and completion; both outlive a revoke."""
        row = self._db.execute(
            "SELECT * FROM study WHERE user_id = ? AND course_id = ?", (user_id, course_id)
        ).fetchone()
        if row is None:
            return Study(0.0, None, None)
        return Study(float(row["progress"]), row["completed_at"], row["event_id"])

    def set_progress(self, user_id: str, course_id: str, progress: float) -> None:
        """Set how far the user is, from 0 to 1; completion is another matter."""
        if not 0 <= progress <= 1:
            raise ValueError("progress goes from 0 to 1")
        self._db.execute(
            "INSERT INTO study (user_id, course_id, progress) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (user_id, course_id) DO UPDATE SET progress = ?3",
            (user_id, course_id, progress),
        )

    def complete(self, user: User, course_id: str, completed_at: str | None = None) -> tuple[Study, bool]:
        """Complete a course once; returns the study and whether this call did it."""
        if self.title(course_id) is None:
            raise Refused(404, "unknown_course", f"no course {course_id!r}")
        before = self.study(str(user.id), course_id)
        if before.completed_at is not None:
            return before, False
        with transaction(self._db):
            self.set_progress(str(user.id), course_id, 1.0)
            self._db.execute(
                "UPDATE study SET completed_at = ?, event_id = ? WHERE user_id = ? AND course_id = ?",
                (completed_at or utc_text(), f"evt_{secrets.token_hex(12)}", str(user.id), course_id),
            )
        return self.study(str(user.id), course_id), True

    def take_back(self, user: User, course_id: str) -> bool:
        """A course is not completed after all; whether it had been."""
        with transaction(self._db):
            done = self._db.execute(
                "UPDATE study SET completed_at = NULL, event_id = NULL WHERE user_id = ? AND course_id = ? "
                "AND completed_at IS NOT NULL",
                (str(user.id), course_id),
            )
        return done.rowcount > 0

    def move_user(self, user_id: int, into: int) -> None:
        """What a user has is another's; where both have it, theirs stays."""
        with transaction(self._db):
            for table in ("enrolment", "study"):
                self._db.execute(
                    f"UPDATE OR IGNORE {table} SET user_id = ? WHERE user_id = ?", (str(into), str(user_id))
                )
        self.forget_user(user_id)

    def forget_user(self, user_id: int) -> None:
        """Erase what belongs to a deleted user; the log stays."""
        with transaction(self._db):
            self._db.execute("DELETE FROM enrolment WHERE user_id = ?", (str(user_id),))
            self._db.execute("DELETE FROM study WHERE user_id = ?", (str(user_id),))

    def reset(self) -> None:
        """Back to the seed."""
        with transaction(self._db):
            for table in ("course", "enrolment", "study", "enrolment_log"):
                self._db.execute(f"DELETE FROM {table}")
            self.seed()
