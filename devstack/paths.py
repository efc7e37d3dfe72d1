"""Where the stack keeps things, and the lock that keeps a second launcher out."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.accounts import Account, others_can_reach
from devstack.errors import DataDirInUseError, StackError

PROJECT = Path(__file__).resolve().parent.parent
_OWNER_MARK = "data-directory"


class DataDir:
    """The layout of `.commerce/` (setting COMMERCE_DATA_DIR)."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        # What gateway and worker get, so that `commerce verify` and its like can ask the same servers.
        self.product_settings = self.run / "product.env"
        self.temporal = self.root / "temporal"
        self.postgres = self.root / "postgres"
        self.credentials = self.root / "credentials.json"
        self._lock_file = self.root / "lock"

    def create(self) -> None:
        """Make the directories that are missing."""
        for directory in (self.root, self.logs, self.run, self.temporal):
            directory.mkdir(parents=True, exist_ok=True)

    def standin(self, name: str) -> Path:
        """The directory of a stand-in's own data."""
        directory = self.root / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this launcher; the kernel lets go of it however the launcher ends."""
        with self._lock_file.open("a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise DataDirInUseError(
                    f"another stack (pid {lock.read().strip() or 'unknown'}) works on {self.root};"
                    " stop it, or set COMMERCE_DATA_DIR to another directory"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def postgres_home(self, account: Account | None) -> Path:
        """PostgreSQL's directory, one that its user can reach; `.commerce/postgres` leads there."""
        if account is None:
            self.postgres.mkdir(mode=0o700, exist_ok=True)
            return self.postgres
        if not self.postgres.is_symlink() and others_can_reach(self.root):
            self.postgres.mkdir(mode=0o700, exist_ok=True)
            os.chown(self.postgres, account.uid, account.gid)
            return self.postgres
        return self._postgres_outside(account)

    def _postgres_outside(self, account: Account) -> Path:
        if self.postgres.is_dir() and not self.postgres.is_symlink():
            raise StackError(
                f"{self.postgres} holds the database, but the user {account.name} that PostgreSQL runs as"
                f" can't reach it any more; allow it to enter {self.root} and its parents (chmod o+x)"
            )
        base = self.linked_base() or temporary_root() / f"commerce-{_digest(self.root)}"
        private_directory(base)
        (base / _OWNER_MARK).write_text(str(self.root), encoding="utf-8")
        home = base / "postgres"
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, account.uid, account.gid)
        if not self.postgres.is_symlink() or self.postgres.readlink() != home:
            self.postgres.unlink(missing_ok=True)
            self.postgres.symlink_to(home)
        return home

    def linked_base(self) -> Path | None:
        """The directory that the link names, when it is ours: moved with the clone, but not copied."""
        if not self.postgres.is_symlink():
            return None
        base = self.postgres.readlink().parent
        mark = base / _OWNER_MARK
        if not mark.is_file():
            return None
        owner = Path(mark.read_text(encoding="utf-8"))
        return base if owner == self.root or not owner.exists() else None

    def remove(self) -> None:
        """Delete all data, also what lies outside of the directory."""
        if not self.root.exists():
            return
        with self.locked():
            if base := self.linked_base():
                shutil.rmtree(base, ignore_errors=True)
            shutil.rmtree(self.root)


def temporary_root() -> Path:
    """A directory that every user can reach; rather one that survives a restart of the machine."""
    for candidate in (Path("/var/tmp"), Path("/tmp"), Path(tempfile.gettempdir())):
        if candidate.is_dir() and os.access(candidate, os.W_OK) and others_can_reach(candidate):
            return candidate
    raise StackError("found no temporary directory that other users can reach (tried /var/tmp and /tmp)")


def private_directory(path: Path) -> None:
    """Make `path` a directory of ours in a place where anybody may write, or refuse what stands there."""
    path.mkdir(mode=0o755, exist_ok=True)
    state = path.lstat()
    if path.is_symlink() or not path.is_dir() or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise StackError(f"{path} is not a directory of ours (somebody else made it); remove it")
    path.chmod(0o755)


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:12]
