"""What a person has to decide, because no rule does."""

from enum import StrEnum


class TaskKind(StrEnum):
    """Why an operator is asked."""

    COMPLETION_TAKEN_BACK = "completion_taken_back"
    """The LMS takes a completion back after it had counted: revenue is recognized, payees are told."""
