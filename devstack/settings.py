"""What the embedded stack is told: ports, directories, and the settings it hands on to the product."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from devstack.paths import PROJECT
from devstack.ports import Ports

DEFAULT_DATA_DIR = ".commerce"


@dataclass(frozen=True)
class External:
    """Servers that somebody else runs, used instead of parts of the stack."""

    database_url: str
    owner_url: str
    temporal_address: str
    temporal_namespace: str


@dataclass(frozen=True)
class StackSettings:
    """How to run one stack."""

    data_dir: Path
    ports: Ports
    # What the user set: the process's environment over `.env`.
    environment: Mapping[str, str]
    project: Path = PROJECT
    # False only for tests: a crash of the machine may lose data.
    durable: bool = True
    external: External | None = None
    # Command lines to use instead of the usual ones, by part.
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # The product's processes read `.env` where they run; tests keep them away from it.
    working_dir: Path | None = None

    @classmethod
    def from_environment(cls, project: Path = PROJECT) -> "StackSettings":
        """As the environment and `.env` say."""
        stored = {name: value for name, value in dotenv_values(project / ".env").items() if value is not None}
        environment = stored | dict(os.environ)
        data_dir = project / (environment.get("COMMERCE_DATA_DIR") or DEFAULT_DATA_DIR)
        return cls(data_dir, Ports.from_environment(environment), environment, project)

    @classmethod
    def isolated(
        cls,
        data_dir: Path,
        *,
        environment: Mapping[str, str] | None = None,
        external: External | None = None,
        commands: Mapping[str, tuple[str, ...]] | None = None,
        durable: bool = True,
    ) -> "StackSettings":
        """For tests: free ports, a directory of its own, and nothing of the developer's settings."""
        data_dir.mkdir(parents=True, exist_ok=True)
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH")
            if name in os.environ
        }
        return cls(
            data_dir=data_dir,
            ports=Ports.free(),
            environment=kept | {"COMMERCE_ENV": "test"} | dict(environment or {}),
            external=external,
            commands=commands or {},
            durable=durable,
            working_dir=data_dir,
        )
