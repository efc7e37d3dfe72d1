"""Stacks made of small substitutes, so that these tests are about the stack alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from devstack.settings import StackSettings
from tests.harness.product import RunningStack
from tests.harness.servers import run_directory
from tests.harness.substitutes import SUBSTITUTED_PARTS, substitute_commands


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> StackSettings:
    """A stack of substitutes on free ports in a directory that PostgreSQL's user can reach."""
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.nodeid)[-60:]
    isolated = StackSettings.isolated(run_directory() / "devstack" / name)
    return replace(isolated, commands=substitute_commands(isolated.ports))


@pytest.fixture
def start() -> Iterator[Callable[..., RunningStack]]:
    """Starts a stack that is stopped at the end of the test."""
    with ExitStack() as cleanup:

        def make(settings: StackSettings, parts: frozenset[str] = SUBSTITUTED_PARTS) -> RunningStack:
            return cleanup.enter_context(RunningStack(settings, parts))

        yield make
