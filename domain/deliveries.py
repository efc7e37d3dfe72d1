"""When an outbound event is sent again, and when we stop."""

from datetime import timedelta

# Ten attempts over about three days; the pause after the n-th failed one.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
MAX_ATTEMPTS = len(PAUSES) + 1
# A receiver in trouble may ask for a longer pause, but not for ever.
LONGEST_PAUSE = timedelta(hours=24)
# One event may be poison for a receiver; two that nobody took are a receiver that is gone.
GIVEN_UP_BEFORE_DISABLING = 2


def pause_after(attempts: int, retry_after_seconds: float | None) -> timedelta:
    """How long to wait after the `attempts`-th failed attempt; the receiver's wish can only lengthen it."""
    pause = PAUSES[min(attempts, len(PAUSES)) - 1]
    if retry_after_seconds is None:
        return pause
    return min(max(pause, timedelta(seconds=retry_after_seconds)), LONGEST_PAUSE)
