"""Outbound signed webhooks."""

import email.utils
import math
from datetime import UTC, datetime

_RETRY_AFTER_AT_MOST_SECONDS = 24 * 3600.0


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds to wait by a `Retry-After` header (a number or an HTTP date); None when it says nothing.

    What the other side wishes is capped at a day, so that it can't park us for ever.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), _RETRY_AFTER_AT_MOST_SECONDS)
