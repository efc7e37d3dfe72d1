"""What a person has to decide, because no rule does."""

from enum import StrEnum


class TaskKind(StrEnum):
    """Why an operator is asked."""

    COMPLETION_TAKEN_BACK = "completion_taken_back"
    """The LMS takes a completion back after it had counted: revenue is recognized, payees are told."""
    ACCOUNT_NOT_FOUND = "account_not_found"
    """The LMS told that an account changed, and then did not know it, or would not tell of it."""
    MERGED_STORE_CREDIT = "merged_store_credit"
    """The LMS made one of two accounts, and the one that ended has store credit left."""
    MERGED_PAYEE = "merged_payee"
    """The LMS made one of two accounts, and the one that ended was paid, or is to be paid, shares."""
    EVENT_NOT_STORED = "event_not_stored"
    """The processor's list has an event that the inbox can't store."""
