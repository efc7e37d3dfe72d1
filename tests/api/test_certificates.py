"""Open edX's events of certificates, as its own library shapes them."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.callers import Gateway
from tests.api.test_forged_events import standard_headers

CREATED = "org.openedx.learning.certificate.created.v1"
REVOKED = "org.openedx.learning.certificate.revoked.v1"
COURSE = "course-v1:edX+Demo+2026"
NAME, EMAIL = "Grace Certified", "grace.certified@example.com"


def certificate(user_id: Any, course: Any = COURSE) -> dict[str, Any]:
    """`CertificateData` of openedx-events, whole."""
    return {
        "certificate": {
            "user": {
                "id": user_id,
                "is_active": True,
                "pii": {"username": "grace", "email": EMAIL, "name": NAME},
            },
            "course": {"course_key": course, "display_name": "Demo", "start": None, "end": None},
            "mode": "verified",
            "grade": "0.93",
            "download_url": "",
            "name": NAME,
            "current_status": "downloadable",
            "previous_status": "",
        }
    }


async def tell(gateway: Gateway, event: dict[str, Any]) -> int:
    body = json.dumps(event).encode()
    answer = await gateway.http.post("/v1/webhooks/lms", content=body, headers=standard_headers(body))
    return answer.status_code


def told(kind: str, data: Any, at: datetime | None = None) -> dict[str, Any]:
    event = {"id": str(uuid.uuid1()), "type": kind, "data": data}
    return event if at is None else event | {"time": at.isoformat()}


async def completions(gateway: Gateway, user_id: int) -> list[Any]:
    async with gateway.services.database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT lms_course_id, completed_at, taken_back_at IS NOT NULL AS taken_back FROM completion "
                "WHERE lms_user_id = :id ORDER BY completed_at"
            ),
            {"id": str(user_id)},
        )
        return list(rows.all())


def somebody() -> int:
    return uuid.uuid4().int % 10**9 + 10**6


async def test_an_earned_certificate_is_a_completion_and_its_end_ends_it(gateway: Gateway) -> None:
    user, earned = somebody(), datetime.now(UTC) - timedelta(hours=1)
    first = told(CREATED, certificate(user), earned)
    assert await tell(gateway, first) == 200
    assert await tell(gateway, first) == 200
    (row,) = await completions(gateway, user)
    assert (row.lms_course_id, row.completed_at, row.taken_back) == (COURSE, earned, False)
    assert await tell(gateway, told(REVOKED, certificate(user), earned + timedelta(minutes=1))) == 200
    assert [row.taken_back for row in await completions(gateway, user)] == [True]
    assert await tell(gateway, told(CREATED, certificate(user))) == 200
    assert [row.taken_back for row in await completions(gateway, user)] == [True, False]


async def test_of_a_certificate_nobody_is_kept_by_name(gateway: Gateway) -> None:
    event = told(CREATED, certificate(somebody()))
    assert await tell(gateway, event) == 200
    async with gateway.services.database.transaction() as session:
        found = await session.execute(
            text("SELECT type, payload FROM inbound_event WHERE payload ->> 'id' = :id"), {"id": event["id"]}
        )
        (row,) = found.all()
    assert row.type == "course.completed"
    assert row.payload["told_as"] == CREATED
    assert NAME not in json.dumps(row.payload)
    assert EMAIL not in json.dumps(row.payload)


@pytest.mark.parametrize("kind", [CREATED, REVOKED])
async def test_a_certificate_that_cannot_be_read_is_refused(gateway: Gateway, kind: str) -> None:
    bad = [None, {}, {"certificate": None}, certificate("7"), certificate(None), certificate(7, course=7)]
    bad.append({"user_id": 7, "course_id": COURSE})
    assert {await tell(gateway, told(kind, data)) for data in bad} == {400}


async def test_other_events_of_open_edx_have_no_effect(gateway: Gateway) -> None:
    user = somebody()
    assert await tell(gateway, told("org.openedx.learning.certificate.changed.v1", certificate(user))) == 200
    assert await completions(gateway, user) == []


async def test_what_the_documented_handler_sends_is_taken(gateway: Gateway) -> None:
    """The handler in docs/lms/openedx.md, with stand-ins for what only Open edX has."""
    page = (Path(__file__).parents[2] / "docs/lms/openedx.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    own = "\n".join(
        line
        for line in source.splitlines()
        if not re.match(r"from (celery|django|openedx_events)|@|import requests", line)
    )
    user, sent = somebody(), []

    class Posted:
        def raise_for_status(self) -> None: ...

    def post(url: str, *, data: str, headers: dict[str, str], timeout: float) -> Posted:
        sent.append((url, data, headers))
        return Posted()

    def plain(**members: Any) -> Any:
        return type("Plain", (), members)

    secret = gateway.services.webhook_secrets.lms[0]
    names: dict[str, Any] = {
        "settings": plain(COMMERCE_URL="http://gateway", COMMERCE_WEBHOOK_SECRET=secret),
        "requests": plain(post=staticmethod(post)),
    }
    exec(compile(own, "docs/lms/openedx.md", "exec"), names)
    names["send"].delay = names["send"]
    metadata = plain(id=uuid.uuid1(), event_type=CREATED, time=datetime.now(UTC))
    earned = plain(user=plain(id=user), course=plain(course_key=COURSE))
    names["tell_commerce"](metadata=metadata, certificate=earned)
    ((url, body, headers),) = sent
    assert url == "http://gateway/v1/webhooks/lms"
    answer = await gateway.http.post("/v1/webhooks/lms", content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert [row.lms_course_id for row in await completions(gateway, user)] == [COURSE]
