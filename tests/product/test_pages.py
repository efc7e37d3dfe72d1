"""What the answers' links lead to."""

import re

import httpx

from api.error_codes import ERROR_CODES
from domain.event_types import EventType


def test_the_type_of_a_problem_leads_to_its_code(http: httpx.Client) -> None:
    answer = http.get("/v1/orders")
    assert answer.status_code == 401
    address, _, anchor = answer.json()["type"].partition("#")
    page = http.get(httpx.URL(address).path)
    assert page.status_code == 200
    assert f'<tr id="{anchor}">' in page.text
    assert set(re.findall(r'<tr id="([a-z_]+)">', page.text)) == set(ERROR_CODES)


def test_the_reference_has_every_code_event_and_setting_of_a_webhook(http: httpx.Client) -> None:
    page = http.get("/docs/reference").raise_for_status().text
    anchors = set(re.findall(r'<tr id="([^"]+)">', page))
    assert anchors >= set(ERROR_CODES) | {kind.value for kind in EventType}
    assert anchors >= {"url", "event_types", "description", "active", "secret", "overlap_hours"}
    assert "http-equiv" not in page
    for target in set(re.findall(r'href="(/[^"]*)"', page)):
        assert http.get(target).status_code == 200, target
