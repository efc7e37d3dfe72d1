"""Time-outs and retries of activities, each with its reason."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class LocalOptions(TypedDict):
    """Options of a local activity."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class RemoteOptions(TypedDict):
    """Options of an activity."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


# How long a worker may be silent before its activities are given to another; activities/heartbeats.py beats.
_ALIVE = timedelta(seconds=6)

# For what nobody waits for, and what may keep a worker busy.
_ALIVE_AT_NIGHT = timedelta(minutes=1)

# Short, idempotent database steps: local, because a dispatch through the server costs more than the
# step itself. They go on while the database is away.
DATABASE = LocalOptions(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(days=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=20),
    ),
)

# The payment processor: an unknown outcome is asked again under the same key until it is decided.
PROCESSOR = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=_ALIVE,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=2),
    ),
)

# A page of the processor's list, each transaction with its own trip to the database.
PROCESSOR_PAGE = RemoteOptions(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=_ALIVE_AT_NIGHT,
    retry_policy=PROCESSOR["retry_policy"],
)

# The LMS may be away for days: pauses grow to ten minutes. An attempt has its turn and its call, which ends
# before this (activities/lms_calls.py).
LMS = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_ALIVE,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=10),
    ),
)

# Messages to other workflows.
MESSAGE = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=15),
    heartbeat_timeout=_ALIVE,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=30),
    ),
)

# One attempt at a webhook: longer than the receiver is given, so that a slow one is an attempt, too.
DELIVERY = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=_ALIVE,
    retry_policy=MESSAGE["retry_policy"],
)

# A batch of streams to send again: a statement, and a signal for each.
REPLAY = RemoteOptions(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=_ALIVE_AT_NIGHT,
    retry_policy=MESSAGE["retry_policy"],
)

# Recovery comes again every 30 seconds: one try a step, and time for a long list.
RECOVERY = RemoteOptions(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=_ALIVE_AT_NIGHT,
    retry_policy=RetryPolicy(maximum_attempts=1),
)

# Reads over everything, at night.
NIGHTLY = RemoteOptions(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=_ALIVE_AT_NIGHT,
    retry_policy=RetryPolicy(maximum_attempts=5),
)
