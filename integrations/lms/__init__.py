"""LMS adapters behind one port; `make_lms` chooses by the setting `LMS_KIND`."""

from dataclasses import dataclass

import httpx

from domain.errors import Misconfigured
from integrations.lms.moodle import MoodleLms
from integrations.lms.openedx import OpenEdxLms
from integrations.lms.port import Lms, LmsCheck, LmsUser, PollsCompletion
from integrations.lms.standin import StandinLms
from integrations.lms.watch import LmsWatch

__all__ = ["Lms", "LmsAccess", "LmsCheck", "LmsUser", "LmsWatch", "PollsCompletion", "make_lms"]


@dataclass(frozen=True, slots=True)
class LmsAccess:
    """Which LMS, and with what to enter it; each kind uses its own part."""

    kind: str
    base_url: str
    token: str = ""
    client_id: str = ""
    client_secret: str = ""
    login_client_id: str = ""
    login_client_secret: str = ""
    login_service: str = ""
    student_role_id: int = 5
    enrolment_mode: str = "audit"


def make_lms(access: LmsAccess, http: httpx.AsyncClient) -> Lms:
    """The adapter of this kind; Misconfigured for a kind that has none."""
    if access.kind == "standin":
        return StandinLms(access.base_url, access.token, http)
    if access.kind == "moodle":
        return MoodleLms(
            access.base_url,
            access.token,
            http,
            login_service=access.login_service,
            student_role_id=access.student_role_id,
        )
    if access.kind == "openedx":
        return OpenEdxLms(
            access.base_url,
            access.client_id,
            access.client_secret,
            http,
            login_client_id=access.login_client_id,
            login_client_secret=access.login_client_secret,
            mode=access.enrolment_mode,
        )
    raise Misconfigured(f"LMS_KIND={access.kind!r} is unknown; known kinds: standin, moodle, openedx")
