"""The error tree of commerce.

    CommerceError                 anything we refuse or could not do, with a stable `code`
    ├── InvalidInput              the request can never work as it stands          (422)
    │   └── PromoInvalid          a promotion code that does not apply, with `reason`
    ├── NotFound                  no such object, or not the caller's               (404)
    ├── Conflict                  the state of things forbids it now                (409)
    │   └── PriceChanged          carries the new quote
    ├── Unauthenticated           no or bad credentials                             (401)
    │   └── BadAccessToken        an access token that opens nothing
    ├── Forbidden                 the role may not                                  (403)
    ├── RateLimited               too many requests, with `retry_after_seconds`     (429)
    ├── LedgerError               a posting that breaks the rules of the ledger: an alarm, never retried
    └── ExternalError             an outside system
        ├── Unavailable           try again: time-out, 5xx, 429                     (503)
        │   ├── LmsUnavailable
        │   └── ProcessorUnavailable
        ├── LmsRejected           the LMS said no for good
        └── ProcessorRejected     the payment processor said no for good

Errors are translated at exactly two borders: activities make Temporal `ApplicationError`s of them
(`type` = code), the gateway makes `application/problem+json`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class CommerceError(Exception):
    """Base of all errors of ours. `code` is stable, snake_case and documented at `/docs/errors`."""

    code: str = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, code: str | None = None, **members: Any) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        if code is not None:
            self.code = code
        self.members: Mapping[str, Any] = members


class InvalidInput(CommerceError):
    """The request breaks a rule that no later state will mend."""

    code = "invalid_request"


class CurrencyMismatch(InvalidInput):
    """Two amounts of different currencies met in one sum."""

    code = "currency_mismatch"


class PromoInvalid(InvalidInput):
    """The code does not apply; `reason` is one of expired, not_started, used_up, not_applicable,
    below_minimum, unknown."""

    code = "promo_invalid"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or f"the promotion code can't be used: {reason}", reason=reason)
        self.reason = reason


class NotFound(CommerceError):
    """No such object, or one that the caller may not know of."""

    code = "not_found"


class Conflict(CommerceError):
    """The present state forbids it; another state may allow it."""

    code = "conflict"


class PriceChanged(Conflict):
    """The total differs from what the front end expected; `quote` holds the new one."""

    code = "price_changed"


class Unauthenticated(CommerceError):
    """No credentials, or bad ones."""

    code = "unauthenticated"


class BadAccessToken(Unauthenticated):
    """An access token that opens nothing; why is not told, so that nobody learns by trying."""

    def __init__(self) -> None:
        super().__init__("the access token is not valid or has expired; get another by POST /v1/auth/refresh")


class Forbidden(CommerceError):
    """The caller's role may not do this."""

    code = "forbidden"


class RateLimited(CommerceError):
    """Too many requests; `retry_after_seconds` says when to come back."""

    code = "rate_limited"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class LedgerError(CommerceError):
    """An entry that would break the ledger (unbalanced, or one key with two contents)."""

    code = "ledger_error"


class ExternalError(CommerceError):
    """An outside system did not do what we asked."""

    code = "external_error"


class Unavailable(ExternalError):
    """The outcome is open: ask again later. `retry_after_seconds` is the other side's wish, if any."""

    code = "unavailable"
    retryable = True

    def __init__(self, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class LmsUnavailable(Unavailable):
    """The LMS timed out, answered 5xx or 429, or answered something that is not its protocol."""

    code = "lms_unavailable"


class ProcessorUnavailable(Unavailable):
    """The payment processor timed out, answered 5xx or 429; the effect may have happened."""

    code = "processor_unavailable"


class LmsRejected(ExternalError):
    """The LMS said no for good. `code` is one of the subclasses' codes, or the LMS's own, unknown one."""

    code = "lms_rejected"


class BadCredentials(LmsRejected):
    """User name or password wrong, or the account is locked or suspended."""

    code = "bad_credentials"


class UserExists(LmsRejected):
    """An account with this email or user name exists already."""

    code = "already_registered"


class LmsInvalidInput(LmsRejected):
    """The LMS finds a field wrong (a weak password, say); the detail is fit for the learner."""

    code = "lms_invalid_input"


class UnknownUser(LmsRejected):
    """The LMS does not know the user (deleted?)."""

    code = "unknown_user"


class UserNotReady(LmsRejected):
    """The account exists but is unconfirmed or suspended."""

    code = "user_not_ready"


class UnknownCourse(LmsRejected):
    """The LMS does not know the course."""

    code = "unknown_course"


class Misconfigured(LmsRejected):
    """Our settings or permissions at the LMS are wrong: an operator's task."""

    code = "lms_misconfigured"


class ProcessorRejected(ExternalError):
    """The payment processor refused for good; `processor_code` is its own code."""

    code = "processor_rejected"

    def __init__(self, detail: str = "", *, processor_code: str | None = None) -> None:
        super().__init__(detail, processor_code=processor_code)
        self.processor_code = processor_code
