"""Calls of Stripe's SDK, with its errors as ours."""

from collections.abc import Awaitable
from typing import TypeVar

import stripe

from domain.errors import ProcessorRejected, ProcessorUnavailable

R = TypeVar("R")
_FINAL = (
    stripe.CardError,
    stripe.InvalidRequestError,
    stripe.IdempotencyError,
)


async def call(request: Awaitable[R]) -> R:
    """Translate the SDK's errors: final ones are rejections, all others leave the outcome open.

    A wrong or rotating key (401, 403) is our mistake, not an answer about this payment: it is tried again
    until somebody has mended the setting.
    """
    try:
        return await request
    except _FINAL as error:
        raise ProcessorRejected(
            error.user_message or "the processor refused", processor_code=_code(error)
        ) from error
    except stripe.StripeError as error:
        raise ProcessorUnavailable(f"the processor: {_code(error) or type(error).__name__}") from error


def _code(error: stripe.StripeError) -> str | None:
    # The SDK leaves `code` empty for 409, 429, 5xx and idempotency errors; the body has it.
    inner = getattr(error, "error", None)
    return error.code or getattr(inner, "code", None)
