"""Keys of journal entries: one business fact, one key, however often and by whomever it is told.

Never made of a webhook's id or of an attempt to post.
"""


def captured_key(order_id: str) -> str:
    """The order was paid for."""
    return f"order:{order_id}:captured"


def recognized_key(line_id: str) -> str:
    """The line's revenue was recognized."""
    return f"line:{line_id}:recognized"


def accrued_key(line_id: str) -> str:
    """The line's earnings accrued."""
    return f"line:{line_id}:accrued"


def released_key(line_id: str, release: int) -> str:
    """The line's held earnings were released; again (2, 3, ...) after some were reinstated."""
    return f"line:{line_id}:released" if release == 1 else f"line:{line_id}:released:{release}"


def reassigned_key(line_id: str, correction_id: str, step: str) -> str:
    """Earnings went to the wrong payee; `step` is `reversed` or `accrued`."""
    return f"line:{line_id}:reassigned:{correction_id}:{step}"


def taken_key(cause: str, step: str, line_id: str | None = None) -> str:
    """A step of a cause: a refund, a dispute or a late failure; of one line where it is about one."""
    return f"{cause}:{step}" if line_id is None else f"{cause}:{step}:line:{line_id}"


def refund_cause(refund_id: str) -> str:
    """A refund as the cause of entries."""
    return f"refund:{refund_id}"


def order_cause(order_id: str) -> str:
    """The order's own payment as the cause of entries: it failed after it had counted as captured."""
    return f"order:{order_id}"


def dispute_cause(dispute_id: str) -> str:
    """A dispute as the cause of entries."""
    return f"dispute:{dispute_id}"


def refund_attempt_key(refund_id: str, step: str, attempt: int) -> str:
    """`step` (`settled`, `failed`) of the n-th issue of a refund: a failed one is issued again."""
    key = f"refund:{refund_id}:{step}"
    return key if attempt == 1 else f"{key}:{attempt}"


def processor_key(transaction_id: str, part: str) -> str:
    """A part of one balance transaction of the processor: `fee`, `converted`, `payout`."""
    return f"stripe:{transaction_id}:{part}"


def unapplied_key(payment_id: str) -> str:
    """Money came without an order to pay for."""
    return f"payment:{payment_id}:unapplied"


def unapplied_failed_key(payment_id: str) -> str:
    """Such money failed after all."""
    return f"payment:{payment_id}:payment_failed_late"


def goodwill_key(credit_id: str) -> str:
    """Store credit was given away."""
    return f"credit:{credit_id}:issued"


def payout_key(payout_id: str, payee: str) -> str:
    """The payout system paid a payee."""
    return f"payout:{payout_id}:payee:{payee}"


def written_off_key(write_off_id: str) -> str:
    """A payee's debt was given up."""
    return f"write_off:{write_off_id}"
