"""What the answers' links lead to."""

import html
import os
import re
import subprocess
from typing import Any

import httpx
import pytest

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


def test_every_code_has_a_remedy(http: httpx.Client) -> None:
    page = http.get("/docs/errors").raise_for_status().text
    rows = re.findall(r'<tr id="(\w+)">.*?<span class=who>(.+?)</span>', page)
    assert dict(rows).keys() == ERROR_CODES.keys()
    assert all(text.endswith(".") for _, text in rows)


def test_the_reference_has_every_code_event_and_setting_of_a_webhook(http: httpx.Client) -> None:
    page = http.get("/docs/reference").raise_for_status().text
    anchors = set(re.findall(r'<tr id="([^"]+)">', page))
    assert anchors >= set(ERROR_CODES) | {kind.value for kind in EventType}
    assert anchors >= {"url", "event_types", "description", "active", "secret", "overlap_hours"}
    assert "http-equiv" not in page
    for target in set(re.findall(r'href="(/[^"]*)"', page)):
        assert http.get(target).status_code == 200, target


def test_the_reference_says_what_events_hold(http: httpx.Client, document: dict[str, Any]) -> None:
    page = html.unescape(http.get("/docs/reference").raise_for_status().text)
    for name, methods in document["webhooks"].items():
        row = re.findall(rf'<tr id="{re.escape(name)}">(.*?)</tr>', page, re.S)[0]
        media = methods["post"]["requestBody"]["content"]["application/json"]
        assert {f"<code>{member}</code>" for member in media["example"]["data"]} <= set(
            re.findall(r"<code>\w+</code>", row)
        )
    assert "stream_seq, request_id, data}" in page


def commands_of(http: httpx.Client) -> dict[str, str]:
    """What `/docs` has people paste, by operation."""
    page = http.get("/docs").raise_for_status().text
    found = re.findall(r'<details id="(\w+)">.*?<pre>(curl .*?)</pre>', page, re.S)
    return {name: html.unescape(command) for name, command in found}


@pytest.mark.parametrize("path", ["/docs", "/docs/reference", "/docs/errors"])
def test_pages_need_nothing_from_elsewhere(http: httpx.Client, path: str) -> None:
    answer = http.get(path).raise_for_status()
    assert "<script" not in answer.text
    assert re.findall(r'(?:src|href)="(?!/|#|data:)[^"]*"', answer.text) == []
    assert "http" not in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]


def test_every_operation_is_shown_with_a_command(http: httpx.Client, document: dict[str, Any]) -> None:
    commands = commands_of(http)
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    assert set(commands) == {operation["operationId"] for operation in operations}
    script = "\n".join(commands.values())
    subprocess.run(["bash", "-n", "-c", script], check=True)


def test_commands_of_the_page_run_as_they_stand(http: httpx.Client) -> None:
    """In the shell that the page sets up; those that name no id of an earlier answer."""
    page = http.get("/docs").raise_for_status().text
    setup = html.unescape(re.findall(r"<pre>(BASE=.*?)</pre>", page, re.S)[0])
    setup = setup.replace("learner@example.com", "operator@example.com")
    reads = {
        name: command.replace("curl -sS", "curl -sS -o /dev/null -w '%{http_code}\\n'", 1)
        for name, command in commands_of(http).items()
        if " -X " not in command and "${" not in command
    }
    assert len(reads) > 30
    done = subprocess.run(
        ["bash", "-eu", "-c", "\n".join([setup, *reads.values()])],
        env={**os.environ, "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = dict(zip(reads, done.stdout.split(), strict=True))
    # An operator says whose earnings; and nobody asked for the operator's erasure.
    others = {"get_earnings": "422", "list_earning_entries": "422", "get_my_erasure": "404"}
    assert {name: status for name, status in seen.items() if status != "200"} == others


def test_commands_carry_all_that_the_document_requires(http: httpx.Client, document: dict[str, Any]) -> None:
    commands = commands_of(http)
    lacking = [
        (operation["operationId"], parameter["name"])
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["required"]
        and {
            "header": f"{parameter['name']}: ",
            "query": f"{parameter['name']}=",
            "path": f"${{{parameter['name'].upper()}}}",
        }[parameter["in"]]
        not in commands[operation["operationId"]]
    ]
    assert lacking == []


def test_commands_that_need_a_reason_or_a_time_are_taken(http: httpx.Client) -> None:
    page = http.get("/docs").raise_for_status().text
    setup = html.unescape(re.findall(r"<pre>(BASE=.*?)</pre>", page, re.S)[0])
    setup = setup.replace("learner@example.com", "operator@example.com")
    names = ("set_lms_maintenance", "end_lms_maintenance", "cancel_refund", "accept_dispute", "take_role")
    commands = commands_of(http)
    ids = [f"{name}=01980c5e-7a10-7c3e-8f00-3b1f6d2a9c41" for name in ("REFUND_ID", "DISPUTE_ID", "USER_ID")]
    lines = [
        commands[name].replace("curl -sS", "curl -sS -o /dev/null -w '%{http_code}\\n'", 1) for name in names
    ]
    done = subprocess.run(
        ["bash", "-eu", "-c", "\n".join([setup, *ids, "ROLE=operator", *lines])],
        env={**os.environ, "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=True,
    )
    # Nothing of these ids is there; all else is as it should be.
    assert done.stdout.split() == ["200", "200", "404", "404", "404"]


def test_the_page_says_what_the_document_says_of_members(
    http: httpx.Client, document: dict[str, Any]
) -> None:
    page = html.unescape(http.get("/docs").raise_for_status().text)
    fields = document["components"]["schemas"]["CheckoutBody"]["properties"]
    assert fields["channel"]["description"] in page
    assert "from 1.0" not in page
    assert "else <" not in page


def test_the_bare_address_leads_to_the_documentation(http: httpx.Client, document: dict[str, Any]) -> None:
    answer = http.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/docs")
    assert "/" not in document["paths"]


def test_the_example_of_a_checkout_is_a_good_address(http: httpx.Client) -> None:
    assert '"postal_code": "10001"' in commands_of(http)["checkout"]
