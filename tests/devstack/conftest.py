"""Stacks made of small substitutes, so that these tests are about the stack alone."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.settings import StackSettings
from tests.harness.product import RunningStack
from tests.harness.servers import run_directory

SUBSTITUTES = Path(__file__).parent.parent / "harness" / "substitutes.py"
# No seed: it belongs to the product.
PARTS = frozenset({"postgres", "temporal", "stripe", "lms", "payout", "gateway", "worker"})
MakeSettings = Callable[..., StackSettings]


def substitute_commands(settings: StackSettings) -> dict[str, tuple[str, ...]]:
    """Command lines of the substitutes on the stack's ports."""
    ports = settings.ports
    http = {
        "stripe": ports.stripe_standin,
        "lms": ports.lms_standin,
        "payout": ports.payout,
        "gateway": ports.gateway,
    }
    commands = {
        name: (sys.executable, "-I", str(SUBSTITUTES), "http", str(port)) for name, port in http.items()
    }
    return commands | {"worker": (sys.executable, "-I", str(SUBSTITUTES), "worker")}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> StackSettings:
    """A stack of substitutes on free ports in a directory that PostgreSQL's user can reach."""
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.nodeid)[-60:]
    isolated = StackSettings.isolated(run_directory() / "devstack" / name)
    return replace(isolated, commands=substitute_commands(isolated))


@pytest.fixture
def start() -> Iterator[Callable[..., RunningStack]]:
    """Starts a stack that is stopped at the end of the test."""
    with ExitStack() as cleanup:

        def make(settings: StackSettings, parts: frozenset[str] = PARTS) -> RunningStack:
            return cleanup.enter_context(RunningStack(settings, parts))

        yield make
