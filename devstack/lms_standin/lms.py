"""The stand-in LMS as one object: its parts, and the acts that also send an event."""

import secrets
from pathlib import Path
from typing import Any

from devstack.lms_standin import deliveries, enrolments, users
from devstack.lms_standin.database import open_database, transaction, utc_text
from devstack.lms_standin.deliveries import Deliveries
from devstack.lms_standin.enrolments import Enrolments, Study
from devstack.lms_standin.faults import FaultBook
from devstack.lms_standin.users import User, Users


class Lms:
    """Everything the stand-in LMS knows."""

    def __init__(self, data_dir: Path, webhook_url: str | None, webhook_secret: str | None) -> None:
        schema = users.SCHEMA + enrolments.SCHEMA + deliveries.SCHEMA
        self._db = open_database(data_dir / "lms.sqlite3", schema)
        self.users = Users(self._db)
        self.enrolments = Enrolments(self._db, self.users)
        self.deliveries = Deliveries(self._db, webhook_url, webhook_secret)
        self.faults = FaultBook()
        with transaction(self._db):
            self.users.seed()
            self.enrolments.seed()

    def complete(self, user: User, course_id: str, completed_at: str | None = None) -> tuple[Study, bool]:
        """Complete a course and send `course.completed`, both only the first time."""
        with transaction(self._db):
            study, changed = self.enrolments.complete(user, course_id, completed_at)
            if changed:
                assert study.event_id is not None
                data = {
                    "user_id": str(user.id),
                    "course_id": course_id,
                    "completed_at": study.completed_at,
                }
                self.deliveries.enqueue(study.event_id, "course.completed", data)
        return study, changed

    def take_back(self, user: User, course_id: str) -> str | None:
        """A course is not completed after all: sends `course.completion_revoked`; returns the event's id."""
        with transaction(self._db):
            if not self.enrolments.take_back(user, course_id):
                return None
            data = {"user_id": str(user.id), "course_id": course_id, "revoked_at": utc_text()}
            return self._send("course.completion_revoked", data)

    def rename(self, user: User, **columns: str | bool) -> tuple[User, str]:
        """Change an account and send `user.updated`; returns the account and the event's id."""
        with transaction(self._db):
            renamed = self.users.change(user.id, **columns)
            data = {
                "user_id": str(renamed.id),
                "username": renamed.username,
                "email": renamed.email,
                "full_name": renamed.full_name,
                "roles": [renamed.role],
                "updated_at": utc_text(),
            }
            return renamed, self._send("user.updated", data)

    def delete(self, user: User) -> str:
        """Erase an account and send `user.deleted`; returns the event's id."""
        with transaction(self._db):
            self.enrolments.forget_user(user.id)
            self.users.delete(user.id)
            return self._send("user.deleted", {"user_id": str(user.id), "deleted_at": utc_text()})

    def merge(self, user: User, into: User) -> str:
        """Make two accounts one, as Moodle's merge tools do: what `user` has is `into`'s, the account ends.
        Sends `user.merged`; returns the event's id."""
        with transaction(self._db):
            self.enrolments.move_user(user.id, into.id)
            self.users.delete(user.id)
            data = {"user_id": str(user.id), "into_user_id": str(into.id), "merged_at": utc_text()}
            return self._send("user.merged", data)

    def _send(self, event_type: str, data: dict[str, Any]) -> str:
        event_id = f"evt_{secrets.token_hex(12)}"
        self.deliveries.enqueue(event_id, event_type, data)
        return event_id

    def reset(self) -> None:
        """Back to the seed: no enrolments, log, deliveries, faults or chaos."""
        self.faults.clear()
        with transaction(self._db):
            self.deliveries.reset()
            self.enrolments.reset()
            self.users.reset()

    def close(self) -> None:
        """Close the database."""
        self._db.close()
