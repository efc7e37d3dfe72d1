"""Prints the installed packages that production does not need: `development_packages.py pyproject.toml`.

Needed is what the project's own dependencies lead to, with their extras and markers; the `dev` extra is not.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# SQLAlchemy's asyncio part loads greenlet, which it names only in an extra.
_KEPT = {"pip", "greenlet"}


def needed_packages(pyproject: Path) -> set[str]:
    """Canonical names of all packages that the project's dependencies lead to."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    pending = [Requirement(text) for text in project["dependencies"]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        requirement = pending.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            wanted = distribution(requirement.name).requires or []
        except PackageNotFoundError:
            continue  # For another platform.
        pending += [needed for text in wanted if _applies(needed := Requirement(text), requirement.extras)]
    return {name for name, _ in seen}


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def main(pyproject: Path) -> None:
    """Print them, one a line."""
    needed = needed_packages(pyproject) | _KEPT
    installed = {canonicalize_name(found.metadata["Name"]) for found in distributions()}
    sys.stdout.writelines(f"{name}\n" for name in sorted(installed - needed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
