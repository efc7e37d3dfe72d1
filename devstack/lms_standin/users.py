"""Users of the stand-in LMS: accounts, login, states, sessions of its pages."""

import hashlib
import re
import secrets
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any

from devstack.lms_standin import seed
from devstack.lms_standin.database import transaction
from devstack.lms_standin.passwords import hash_password, password_matches

SCHEMA = """
CREATE TABLE IF NOT EXISTS user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL,
    username TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    role TEXT NOT NULL DEFAULT 'learner',
    confirmed INTEGER NOT NULL DEFAULT 1,
    suspended INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS user_email ON user (email) WHERE deleted = 0;
CREATE UNIQUE INDEX IF NOT EXISTS user_username ON user (username) WHERE deleted = 0;
CREATE TABLE IF NOT EXISTS session (token_hash TEXT PRIMARY KEY, user_id INTEGER NOT NULL);
"""

_EMAIL = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,180}\.[^@\s<>.]{2,}")
_MIN_PASSWORD = 8
_MAX_TEXT = 100
_MAX_ID_DIGITS = 15


class Refused(Exception):
    """The LMS says no; becomes `{"error": {"code", "message"}}` under `status`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class User:
    """One account."""

    id: int
    email: str
    username: str
    first_name: str
    last_name: str
    role: str
    confirmed: bool
    suspended: bool

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def ready(self) -> bool:
        """Whether the user can be enrolled."""
        return self.confirmed and not self.suspended

    def as_json(self) -> dict[str, Any]:
        """As the protocol shows it."""
        return {
            "id": str(self.id),
            "username": self.username,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "full_name": self.full_name,
            "roles": [self.role],
            "confirmed": self.confirmed,
            "suspended": self.suspended,
        }


@cache
def _hash_of_seed() -> str:
    """Made once, so that a reset takes no longer than any other call."""
    return hash_password(seed.PASSWORD)


def _user(row: sqlite3.Row) -> User:
    values = {name: row[name] for name in ("id", "email", "username", "first_name", "last_name", "role")}
    return User(**values, confirmed=bool(row["confirmed"]), suspended=bool(row["suspended"]))


class Users:
    """The accounts in the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def seed(self) -> None:
        """Make the seeded accounts that do not exist."""
        for user in seed.USERS:
            if self._db.execute("SELECT 1 FROM user WHERE id = ?", (user.id,)).fetchone():
                continue
            self._db.execute(
                "INSERT INTO user (id, email, username, password_hash, first_name, last_name, role)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    user.id,
                    user.email,
                    user.email.partition("@")[0],
                    _hash_of_seed(),
                    user.first_name,
                    user.last_name,
                    user.role,
                ),
            )

    def get(self, user_id: str) -> User | None:
        """The user of this id, unless deleted."""
        if not user_id.isascii() or not user_id.isdigit() or len(user_id) > _MAX_ID_DIGITS:
            return None
        row = self._db.execute("SELECT * FROM user WHERE id = ? AND deleted = 0", (int(user_id),)).fetchone()
        return None if row is None else _user(row)

    def find(self, reference: str) -> User:
        """The user of this id, email or user name; 404 else."""
        user = self.get(reference)
        if user is None:
            row = self._row_of_login(reference)
            user = None if row is None else _user(row)
        if user is None:
            raise Refused(404, "unknown_user", f"no user {reference!r}")
        return user

    def all(self) -> list[User]:
        """Everyone who is not deleted."""
        return [_user(row) for row in self._db.execute("SELECT * FROM user WHERE deleted = 0 ORDER BY id")]

    def _row_of_login(self, login: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM user WHERE deleted = 0 AND (email = ?1 OR username = ?1)", (login.strip().lower(),)
        ).fetchone()
        return row

    def login(self, username: str, password: str) -> User:
        """The user who owns this password; user name or email, in any case of letters."""
        row = self._row_of_login(username)
        # Unknown, wrong and suspended look alike, as on real platforms.
        if row is None or not password_matches(password, row["password_hash"]) or row["suspended"]:
            raise Refused(401, "bad_credentials", "user name or password wrong")
        user = _user(row)
        if not user.confirmed:
            raise Refused(403, "user_not_ready", "the account is not confirmed yet")
        return user

    def register(
        self,
        *,
        email: str,
        username: str,
        password: str,
        first_name: str,
        last_name: str,
        role: str = "learner",
    ) -> User:
        """Make a confirmed account."""
        email, username = email.strip().lower(), username.strip().lower()
        if not _EMAIL.fullmatch(email):
            raise Refused(422, "invalid_input", "the email address is not valid")
        if not username or len(username) > _MAX_TEXT or any(letter.isspace() for letter in username):
            raise Refused(422, "invalid_input", "the user name must have 1 to 100 characters and no spaces")
        if len(password) < _MIN_PASSWORD:
            raise Refused(422, "invalid_input", f"the password needs at least {_MIN_PASSWORD} characters")
        if not first_name.strip() or len(first_name) > _MAX_TEXT or len(last_name) > _MAX_TEXT:
            raise Refused(422, "invalid_input", "the first name is missing or a name is too long")
        with transaction(self._db):
            taken = self._db.execute(
                "SELECT 1 FROM user WHERE deleted = 0 AND (email IN (?1, ?2) OR username IN (?1, ?2))",
                (email, username),
            ).fetchone()
            if taken:
                raise Refused(409, "user_exists", "an account with this email or user name exists")
            made = self._db.execute(
                "INSERT INTO user (email, username, password_hash, first_name, last_name, role)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
                (email, username, hash_password(password), first_name.strip(), last_name.strip(), role),
            ).fetchone()
        return _user(made)

    def change(self, user_id: int, **columns: str | bool) -> User:
        """Set columns of an account."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        row = self._db.execute(
            f"UPDATE user SET {assignments} WHERE id = ? AND deleted = 0 RETURNING *",
            (*columns.values(), user_id),
        ).fetchone()
        return _user(row)

    def delete(self, user_id: int) -> None:
        """Erase an account: its id is never given again, its email is free."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE user SET deleted = 1, email = '', username = '', password_hash = '$',"
                " first_name = '', last_name = '' WHERE id = ?",
                (user_id,),
            )
            self._db.execute("DELETE FROM session WHERE user_id = ?", (user_id,))

    def open_session(self, user_id: int) -> str:
        """A token for a cookie."""
        token = secrets.token_urlsafe(32)
        self._db.execute(
            "INSERT INTO session (token_hash, user_id) VALUES (?, ?)", (_token_hash(token), user_id)
        )
        return token

    def close_session(self, token: str) -> None:
        """Forget a token."""
        self._db.execute("DELETE FROM session WHERE token_hash = ?", (_token_hash(token),))

    def of_session(self, token: str) -> User | None:
        """Who holds this token."""
        row = self._db.execute(
            "SELECT user_id FROM session WHERE token_hash = ?", (_token_hash(token),)
        ).fetchone()
        return None if row is None else self.get(str(row["user_id"]))

    def reset(self) -> None:
        """Back to the seed. Ids given before are not given again."""
        with transaction(self._db):
            self._db.execute("DELETE FROM session")
            self._db.execute("DELETE FROM user")
            self.seed()


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
