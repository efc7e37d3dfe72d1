"""What Moodle's errors mean: a code under `errorcode`, or a sentence of HTML in its place."""

import html
import re
from typing import Any

from domain.errors import (
    BadCredentials,
    LmsRejected,
    LmsUnavailable,
    Misconfigured,
    UnknownCourse,
    UnknownUser,
    UserNotReady,
)

# The database was busy or away: nothing was decided.
_RETRY = frozenset({"dmlwriteexception", "dmlreadexception", "dbconnectionfailed", "sitemaintenance"})
MISCONFIGURED = {
    "invalidtoken": "the token is not valid",
    "nopermissions": "the service's user may not do this",
    "cannotcreatetoken": (
        "Moodle makes no token for this account: a site administrator gets one only by hand, others need "
        "the capability moodle/webservice:createtoken"
    ),
    "accessexception": "the token's service lacks a function that commerce calls",
    "wsusercannotassign": "the service's user may not assign the role LMS_STUDENT_ROLE_ID in this course",
    "wsnoinstance": "the course has no manual enrolment method",
    "wscannotenrol": "the course's manual enrolment method may not be used",
    "servicenotavailable": "the login service LMS_LOGIN_SERVICE is not there or not enabled",
    "enablewsdescription": "web services are switched off",
}
_REJECTED: dict[str, type[LmsRejected]] = {
    "invalidlogin": BadCredentials,
    "usernotconfirmed": UserNotReady,
    "restoredaccountresetpassword": UserNotReady,  # restored from a backup without its password
    "userdeleted": UnknownUser,
    "invaliduser": UnknownUser,
    "invalidrecordunknown": UnknownUser,
    "invalidcourseid": UnknownCourse,
}
# Moodle says so of a user as of a course, and of a function that this Moodle does not have.
AMBIGUOUS = frozenset({"invalidparameter", "invalidrecord", "invalidrecordunknown"})
MISSING = AMBIGUOUS - {"invalidparameter"}
NO_FUNCTION = "a function is not in the service of LMS_TOKEN: `commerce lms check` names it"
_NO_CODE = "lms_rejected"
_TAGS = re.compile(r"<[^>]*>")


class Refused(Exception):
    """An error answer; `code` is Moodle's, which may be a sentence of HTML."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        said = code if "<" in code else message or code
        self.message = html.unescape(_TAGS.sub(" ", said)).strip()[:500]


def refusal_in(content: Any) -> Refused | None:
    """The error that an answer holds. One that says `try again` is raised as such.

    What PHP itself throws has no code: only `exception`, or the login script's `error`, shows it.
    """
    if not isinstance(content, dict) or content.keys().isdisjoint({"errorcode", "exception", "error"}):
        return None
    code = str(content.get("errorcode") or _NO_CODE)
    if code in _RETRY:
        raise LmsUnavailable(f"Moodle answered {code}")
    return Refused(code, str(content.get("message") or content.get("error") or ""))


def rejection(refusal: Refused, otherwise: type[LmsRejected] = LmsRejected) -> LmsRejected:
    """What a refusal means; `otherwise` when what was given is wrong (a weak password is told by a sentence).
    An unknown code waits for a person: it is never asked for ever."""
    if refusal.code in MISCONFIGURED:
        return Misconfigured(f"{MISCONFIGURED[refusal.code]} ({refusal.code}: {refusal.message})")
    if refusal.code in _REJECTED:
        return _REJECTED[refusal.code](refusal.message)
    if otherwise is not LmsRejected and (refusal.code == "invalidparameter" or "<" in refusal.code):
        return otherwise(refusal.message)
    code = refusal.code if re.fullmatch(r"[a-z0-9_]{1,60}", refusal.code) else "lms_rejected"
    return LmsRejected(refusal.message, code=code)


def rejection_of_look_up(refusal: Refused) -> LmsRejected:
    """Who is looked up and not there is an empty list: a record that is missing is the function's own."""
    if refusal.code in MISSING:
        return Misconfigured(NO_FUNCTION)
    return rejection(refusal)
