"""The user that PostgreSQL runs as: it refuses root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import StackError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user to run a program as."""

    name: str
    uid: int
    gid: int


def account_for_postgres(existing_data: Path) -> Account | None:
    """Whom to run PostgreSQL as: None for "as we are", else an unprivileged user that owns the data."""
    if os.geteuid() != 0:
        return None
    if existing_data.exists() and (owner := existing_data.stat().st_uid) != 0:
        return _account(pwd.getpwuid(owner))
    for name in _CANDIDATES:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise StackError(
        "PostgreSQL refuses to run as root, and there is no unprivileged user to run it as"
        f" (looked for {' and '.join(_CANDIDATES)}); run as a plain user, or add one of these"
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def others_can_reach(path: Path) -> bool:
    """Whether a user who is neither owner nor in the group may enter every directory down to `path`."""
    resolved = path.resolve()
    return all(part.stat().st_mode & 0o001 for part in (resolved, *resolved.parents))
