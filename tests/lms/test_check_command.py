"""`commerce lms check`: what it found, the setting to look at, and what it could not find out."""

import os
from pathlib import Path

import pytest

from tests.api.commands import Commands
from tests.lms.campus import MoodleCampus, OpenEdxCampus
from tests.lms.wire import Moodle, OpenEdx


def moodle_settings(wire: Moodle) -> dict[str, str]:
    return {
        "LMS_KIND": "moodle",
        "LMS_BASE_URL": wire.base_url,
        "LMS_TOKEN": wire.token,
        "LMS_LOGIN_SERVICE": wire.service,
    }


def edx_settings(wire: OpenEdx) -> dict[str, str]:
    return {
        "LMS_KIND": "openedx",
        "LMS_BASE_URL": wire.base_url,
        "LMS_CLIENT_ID": wire.client[0],
        "LMS_CLIENT_SECRET": wire.client[1],
    }


async def test_the_command_says_what_it_found_and_what_it_could_not(moodle: MoodleCampus) -> None:
    command = Commands(os.environ | moodle_settings(moodle.wire))
    said = await command.run("lms", "check")
    assert "has every function" in said
    assert "not checked: LMS_LOGIN_SERVICE" in said
    moodle.wire.functions = ("core_webservice_get_site_info",)
    assert "(look at LMS_TOKEN)" in await command.run("lms", "check", code=1)


async def test_the_client_of_logins_is_a_setting_of_its_own(edx: OpenEdxCampus) -> None:
    given = os.environ | edx_settings(edx.wire)
    said = await Commands(given).run("lms", "check", code=1)
    assert "(look at LMS_LOGIN_CLIENT_ID)" in said
    alone = given | {"LMS_LOGIN_CLIENT_ID": edx.wire.login_client[0]}
    assert "go together" in await Commands(alone).run("lms", "check", code=1)
    both = alone | {"LMS_LOGIN_CLIENT_SECRET": edx.wire.login_client[1]}
    assert "not checked: the grant type" in await Commands(both).run("lms", "check")


async def test_beside_the_embedded_stack_it_takes_the_settings_of_that(
    moodle: MoodleCampus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = Commands({"LMS_KIND": "", "LMS_BASE_URL": "", "COMMERCE_DATA_DIR": str(tmp_path / "data")})
    assert "LMS_BASE_URL" in await command.run("lms", "check", code=1)
    (tmp_path / "data" / "run").mkdir(parents=True)
    lines = [f"{name}={value}\n" for name, value in moodle_settings(moodle.wire).items()]
    (tmp_path / "data" / "run" / "product.env").write_text("".join(lines))
    assert "has every function" in await command.run("lms", "check")
    half_given = Commands({"LMS_KIND": "moodle", "COMMERCE_DATA_DIR": str(tmp_path / "data")})
    assert "LMS_BASE_URL" in await half_given.run("lms", "check", code=1)
