"""The check at the start of a process: told once, repeated until all is well, and no start waits for it."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from integrations.lms import LmsWatch
from tests.lms.campus import Campus, MoodleCampus

AWAY = "could not be checked"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_a_good_lms_is_checked_once(campus: Campus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with LmsWatch(campus.lms, away_seconds=0.01, wrong_seconds=0.01) as watch:
        await until(lambda: any(line.startswith("the LMS at") for line in logged(caplog, logging.INFO)))
        assert watch.complaint is None
    told = [line for line in logged(caplog, logging.INFO) if line.startswith("the LMS at")]
    assert len(told) == 1


async def test_what_is_to_be_mended_is_an_error_that_names_the_setting(
    moodle: MoodleCampus, caplog: pytest.LogCaptureFixture
) -> None:
    moodle.wire.unknown_functions = frozenset({"enrol_manual_unenrol_users"})
    async with LmsWatch(moodle.lms, wrong_seconds=0.01) as watch:
        await until(lambda: watch.complaint is not None)
        assert watch.complaint is not None
        assert "enrol_manual_unenrol_users" in watch.complaint
        assert "LMS_TOKEN" in watch.complaint
        await until(lambda: moodle.wire.calls.count("core_webservice_get_site_info") > 3)
        moodle.wire.unknown_functions = frozenset()
        await until(lambda: watch.complaint is None)
    (error,) = logged(caplog, logging.ERROR)
    assert "enrol_manual_unenrol_users" in error
    assert "LMS_TOKEN" in error


async def test_an_lms_that_is_away_is_a_warning_and_asked_again(
    campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    off = campus.with_access(base_url="http://127.0.0.1:9")
    async with LmsWatch(off, away_seconds=0.01) as watch:
        await until(lambda: any(AWAY in line for line in logged(caplog, logging.WARNING)))
        await asyncio.sleep(0.1)
        assert watch.complaint is None
    assert len(logged(caplog, logging.WARNING)) == 1
    assert logged(caplog, logging.ERROR) == []
