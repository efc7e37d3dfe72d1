"""TCP ports on the loopback address: which are free, and who holds one that is not."""

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields

import psutil

from devstack.errors import PortTakenError, StackError

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections, so that none of
# those can take a chosen port between the choice and its use.
_FREE_PORT_RANGE = range(20_000, 32_000)


@dataclass(frozen=True)
class Ports:
    """The port of each part of the stack; each field is a setting of the same name with `_PORT`."""

    gateway: int = 8000
    postgres: int = 54329
    temporal: int = 7233
    temporal_ui: int = 8233
    stripe_standin: int = 12111
    lms_standin: int = 8090
    payout: int = 8091

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Ports":
        """The ports as the environment sets them, else their defaults."""
        return cls(
            **{field.name: _port(environment, setting_of(field.name), field.default) for field in fields(cls)}
        )

    @classmethod
    def free(cls) -> "Ports":
        """A free port for each part."""
        return cls(*free_ports(len(fields(cls))))


def setting_of(name: str) -> str:
    """The setting that moves the port called `name`."""
    return f"{name.upper()}_PORT"


def _port(environment: Mapping[str, str], setting: str, default: object) -> int:
    text = environment.get(setting) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise StackError(f"{setting} is {text!r}, which is no port number (1-65535)")
    return int(text)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """`count` different free ports, chosen at random so that parallel callers rarely meet."""
    chosen = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = chosen.choice(_FREE_PORT_RANGE)
        if port not in found and is_free(port):
            found.append(port)
    return found


def holder_of(port: int) -> str | None:
    """Who listens on `port`, for a message; None when the system doesn't say."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            try:
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {process.pid}: {' '.join(process.cmdline())[:80]})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None


def require_free(ports: Mapping[str, int]) -> None:
    """Raise one PortTakenError that names every taken port, its setting and its holder."""
    problems = [_describe(name, port) for name, port in ports.items() if not is_free(port)]
    by_number: dict[int, str] = {}
    for name, port in ports.items():
        if port in by_number:
            problems.append(f"port {port} is set twice: {setting_of(by_number[port])} and {setting_of(name)}")
        by_number[port] = name
    if problems:
        raise PortTakenError("\n".join(problems))


def _describe(name: str, port: int) -> str:
    holder = holder_of(port)
    return (
        f"port {port} ({name.replace('_', ' ')}) is taken by {holder or 'another process'};"
        f" stop it, or set {setting_of(name)} to another port"
    )
