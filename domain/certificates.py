"""Open edX's events of certificates, in the words of this product: a certificate is earned by completing.

Their shape is that of `openedx-events` (`CertificateData`). Open edX tells of one once it was earned.
"""

from collections.abc import Mapping
from typing import Any

from domain.errors import InvalidInput

_MEANING = {
    "org.openedx.learning.certificate.created.v1": ("course.completed", "completed_at"),
    "org.openedx.learning.certificate.revoked.v1": ("course.completion_revoked", "revoked_at"),
}


def in_own_words(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as the LMS would tell it here, without the person's name and email; others are left as they
    are. Raises InvalidInput."""
    if event.get("type") not in _MEANING:
        return dict(event)
    kind, moment = _MEANING[event["type"]]
    certificate = _member(event.get("data"), "certificate")
    data = {
        "user_id": _member(_member(certificate, "user"), "id"),
        "course_id": _member(_member(certificate, "course"), "course_key"),
    }
    if type(data["user_id"]) is not int or not isinstance(data["course_id"], str):
        raise InvalidInput("a certificate names its user by number and its course by key")
    if event.get("time") is not None:
        data[moment] = event["time"]
    return {"id": event["id"], "type": kind, "told_as": event["type"], "data": data}


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        raise InvalidInput(f"the event of a certificate has no {name}")
    return value[name]
