"""An error of an LMS that nobody knows, asked for ever: planted into each adapter, seen by the contract."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import LmsUnavailable
from integrations.lms import moodle as moodle_adapter
from integrations.lms import moodle_refusals, openedx, openedx_tokens
from integrations.lms import standin as standin_adapter
from tests.lms.campus import OPERATIONS, Campus, Operation
from tests.lms.conftest import campus, control, control_of_session, edx, http, moodle, standin
from tests.lms.test_contract import an_unknown_error_waits_for_a_person

__all__ = ["campus", "control", "control_of_session", "edx", "http", "moodle", "standin"]


def retried_for_ever(*_: Any, **__: Any) -> LmsUnavailable:
    return LmsUnavailable("something of tomorrow")


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Each adapter takes a reason that it does not know for no answer."""

    def plant() -> None:
        monkeypatch.setattr(standin_adapter, "_rejection", retried_for_ever)
        monkeypatch.setattr(moodle_adapter, "rejection", retried_for_ever)
        monkeypatch.setattr(moodle_refusals, "rejection", retried_for_ever)
        monkeypatch.setattr(openedx, "refused_or_open", retried_for_ever)
        monkeypatch.setattr(openedx_tokens, "refused_or_open", retried_for_ever)

    return plant


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "register"])
async def test_planted_an_unknown_error_that_is_asked_for_ever_is_seen(
    campus: Campus, operation: Operation, plant: Callable[[], None]
) -> None:
    await an_unknown_error_waits_for_a_person(campus, "a code that nobody knows", operation)
    plant()
    with pytest.raises(LmsUnavailable, match="of tomorrow"):
        await an_unknown_error_waits_for_a_person(campus, "a code that nobody knows", operation)
