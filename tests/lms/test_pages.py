"""What a person sees of the stand-in LMS."""

from collections.abc import AsyncIterator

import httpx
import pytest

from devstack.lms_standin.control import LmsControl
from integrations.lms.standin import StandinLms
from tests.lms.processes import Recorder
from tests.lms.test_port import COURSE, LEARNER
from tests.lms.waiting import until


@pytest.fixture
async def browser(control: LmsControl) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=control.base_url, follow_redirects=True, trust_env=False, verify=False
    ) as client:
        yield client


async def _sign_in(browser: httpx.AsyncClient, account: str, target: str = "/") -> httpx.Response:
    form = {"username": account, "password": "commerce-demo"}
    return await browser.post("/login", params={"next": target}, data=form)


async def test_a_deep_link_leads_through_sign_in_to_the_course(
    browser: httpx.AsyncClient, lms: StandinLms
) -> None:
    asked = await browser.get(lms.course_url(COURSE))
    assert asked.url.path == "/login"
    assert asked.url.params["next"] == f"/courses/{COURSE}"
    arrived = await _sign_in(browser, "learner@example.com", asked.url.params["next"])
    assert arrived.url.path == f"/courses/{COURSE}"
    assert 'data-access="none"' in arrived.text
    await lms.grant(LEARNER, COURSE)
    assert 'data-access="granted"' in (await browser.get(f"/courses/{COURSE}")).text
    await lms.revoke(LEARNER, COURSE)
    assert 'data-access="none"' in (await browser.get(f"/courses/{COURSE}")).text


async def test_the_button_completes_the_course_once(
    browser: httpx.AsyncClient, lms: StandinLms, recorder: Recorder
) -> None:
    await _sign_in(browser, "learner@example.com")
    refused = await browser.post(f"/courses/{COURSE}/complete")
    assert refused.status_code == 403
    await lms.grant(LEARNER, COURSE)
    page = await browser.get(f"/courses/{COURSE}")
    assert "Complete the course" in page.text
    done = await browser.post(f"/courses/{COURSE}/complete")
    assert 'data-completed="yes"' in done.text
    assert "Complete the course" not in done.text
    await browser.post(f"/courses/{COURSE}/complete")
    await until(lambda: len(recorder.requests) == 1, "the event arrives")
    assert "course.completed" in (await browser.get("/log")).text


async def test_a_wrong_password_does_not_sign_in(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/login", data={"username": "learner", "password": "wrong"})
    assert answer.status_code == 401
    assert not browser.cookies
    assert (await browser.get(f"/courses/{COURSE}")).url.path == "/login"


async def test_signing_out_ends_the_session(browser: httpx.AsyncClient) -> None:
    await _sign_in(browser, "learner@example.com")
    stolen = dict(browser.cookies)
    await browser.post("/logout")
    browser.cookies.update(stolen)
    assert (await browser.get(f"/courses/{COURSE}")).url.path == "/login"


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "evil"])
async def test_sign_in_leads_to_no_other_site(browser: httpx.AsyncClient, target: str) -> None:
    browser.follow_redirects = False
    assert (await _sign_in(browser, "learner", target)).headers["location"] == "/"


async def test_an_operator_can_look_as_another_user_and_a_learner_cannot(
    browser: httpx.AsyncClient, lms: StandinLms
) -> None:
    await lms.grant(LEARNER, COURSE)
    await _sign_in(browser, "operator@example.com")
    assert 'data-access="none"' in (await browser.get(f"/courses/{COURSE}")).text
    seen = await browser.get(f"/courses/{COURSE}", params={"user": LEARNER})
    assert 'data-access="granted"' in seen.text
    assert "Complete the course" not in seen.text
    await browser.post("/logout")
    await _sign_in(browser, "learner2@example.com")
    other = await browser.get(f"/courses/{COURSE}", params={"user": LEARNER})
    assert 'data-access="none"' in other.text


async def test_names_are_shown_and_not_run(browser: httpx.AsyncClient, control: LmsControl) -> None:
    await control.rename(LEARNER, first_name="<script>alert(1)</script>")
    await control.add_course("x<b>", "<img src=x>")
    await _sign_in(browser, "learner@example.com")
    for path in ("/", "/log", f"/courses/{COURSE}"):
        page = (await browser.get(path)).text
        assert "<script" not in page
        assert "<img" not in page


async def test_unknown_courses_are_404(browser: httpx.AsyncClient) -> None:
    await _sign_in(browser, "learner@example.com")
    assert (await browser.get("/courses/no-such-course")).status_code == 404
