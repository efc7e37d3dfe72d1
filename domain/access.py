"""How access stands, in words for the learner: nothing internal, and no promise that can't be kept."""

from datetime import datetime

from domain.orders import EntitlementStatus

_WAITS = {
    "lms_unavailable": "The learning platform can't be reached at the moment",
    "lms_maintenance": "The learning platform is under maintenance",
    "lms_busy": "Many learners are being let in at the moment",
}
_SAID = {
    EntitlementStatus.REVOKING: "Access is being ended",
    EntitlementStatus.REVOKED: "Access has ended",
}


def reason_in_words(
    status: EntitlementStatus,
    *,
    justified: bool,
    failed_action: str | None,
    waits_for: str | None,
    next_try_at: datetime | None,
) -> str | None:
    """Why there is no access (yet); None when it is there. `next_try_at` only when it is still to come."""
    if status is EntitlementStatus.GRANTED:
        return None
    if status is EntitlementStatus.FAILED:
        if failed_action == "revoke":
            return "Access is to end; the learning platform refused it, and we look into it."
        return "Paid, but the learning platform refuses access; we look into it."
    said = "Paid, access is being set up" if justified else _SAID.get(status, "Access has ended")
    if status is EntitlementStatus.REVOKED and not justified:
        return f"{said}."
    cause = "" if waits_for is None else f" {_WAITS[waits_for]}."
    tried = "" if next_try_at is None else f", next try at {next_try_at:%H:%M} UTC"
    return f"{said}{tried}.{cause}"
