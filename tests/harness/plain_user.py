"""Lets a test that runs as root run a program of this project as a plain user."""

import os
import pwd
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from devstack.accounts import others_can_reach
from devstack.paths import PROJECT

_SOURCES = ("devstack", "tests", "config.py")
_NOT_NEEDED = shutil.ignore_patterns(
    "__pycache__", "test", "idlelib", "tkinter", "site-packages", "playwright"
)


@dataclass(frozen=True)
class PlainUser:
    """A user, a Python that this user can run, and a clone that this user owns."""

    python: Path
    clone: Path
    uid: int
    gid: int

    @property
    def libraries(self) -> str:
        """Where the interpreter's own shared library is."""
        return str(self.python.parent.parent / "lib")

    def environment(self) -> dict[str, str]:
        """What a shell of this user would have."""
        return {
            "PATH": os.defpath,
            "HOME": str(self.clone),
            "LD_LIBRARY_PATH": self.libraries,
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def make_plain_user(directory: Path) -> PlainUser:
    """A plain user with a clone under `directory`: `nobody` for root, else whoever runs the tests."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        entry = pwd.getpwnam("nobody")
        uid, gid = entry.pw_uid, entry.pw_gid
    clone = directory / "clone"
    clone.mkdir(parents=True)
    for name in _SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, clone / name)
    for path in (clone, *clone.rglob("*")):
        os.chown(path, uid, gid)
    python = Path(sys.executable)
    packages = Path(sysconfig.get_path("purelib"))
    if uid != os.geteuid() and not (others_can_reach(python.resolve().parent) and others_can_reach(packages)):
        python = linked_python(directory / "python")
    return PlainUser(python, clone, uid, gid)


def linked_python(directory: Path) -> Path:
    """This interpreter with its packages once more under `directory`; to be run with its LD_LIBRARY_PATH."""
    executable = Path(sys.executable)
    packages = Path(sysconfig.get_path("purelib"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = directory / "lib" / version
    (directory / "bin").mkdir(parents=True)
    (directory / "lib").mkdir()
    copied = directory / "bin" / version
    _link(str(executable.resolve()), str(copied))
    _link(str(executable.parent / "temporal"), str(directory / "bin" / "temporal"))
    for shared in (Path(sys.base_prefix) / "lib").glob(f"lib{version}*.so*"):
        _link(str(shared), str(directory / "lib" / shared.name))
    shutil.copytree(sysconfig.get_path("stdlib"), library, copy_function=_link, ignore=_NOT_NEEDED)
    shutil.copytree(packages, library / "site-packages", copy_function=_link, ignore=_NOT_NEEDED)
    if not (library / "dist-packages").exists():  # where Debian's own interpreter looks
        (library / "dist-packages").symlink_to("site-packages")
    return copied


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # Another file system.
        shutil.copy2(source, target)
