"""What a buyer may choose when what was bought can't be had as it was sold, and who decides by default."""

from enum import StrEnum


class ResolutionCause(StrEnum):
    """Why a line's buyer is asked."""

    LMS_REFUSED = "lms_refused"  # the LMS refuses the access for good
    RUN_CANCELLED = "run_cancelled"  # the dated run does not take place
    RUN_RESCHEDULED = "run_rescheduled"  # the dated run has another date
    BOUGHT_TWICE = "bought_twice"  # two accounts, which are one now, had bought the course


class ResolutionChoice(StrEnum):
    """What becomes of the line."""

    OTHER_RUN = "other_run"  # another run of the course, at the same price
    STORE_CREDIT = "store_credit"  # what is left of its price, as store credit
    REFUND = "refund"  # what is left of its price, the way it was paid
    KEEP = "keep"  # it stays as it is


class ResolutionState(StrEnum):
    """How far a question is."""

    OPEN = "open"  # asked, or about to be
    DECIDED = "decided"  # the choice is in the books; those concerned are being told
    DONE = "done"  # nothing more follows from it
    WITHDRAWN = "withdrawn"  # its cause has gone: access came after all, or all was paid back


class RunChangeKind(StrEnum):
    """What happens to a dated run."""

    CANCELLED = "cancelled"  # it does not take place
    RESCHEDULED = "rescheduled"  # it has another date

    @property
    def cause(self) -> ResolutionCause:
        """Why its buyers are asked."""
        return ResolutionCause(f"run_{self}")


_INSTEAD = (ResolutionChoice.OTHER_RUN, ResolutionChoice.STORE_CREDIT, ResolutionChoice.REFUND)


def choices_of(cause: ResolutionCause) -> tuple[ResolutionChoice, ...]:
    """What may be chosen: a run that only has another date, and what was bought twice, may also be kept."""
    if cause is ResolutionCause.BOUGHT_TWICE:
        return (ResolutionChoice.KEEP, ResolutionChoice.STORE_CREDIT, ResolutionChoice.REFUND)
    return (ResolutionChoice.KEEP, *_INSTEAD) if cause is ResolutionCause.RUN_RESCHEDULED else _INSTEAD


def default_of(cause: ResolutionCause) -> ResolutionChoice:
    """What is done when nobody chooses until the deadline."""
    if cause in (ResolutionCause.RUN_RESCHEDULED, ResolutionCause.BOUGHT_TWICE):
        return ResolutionChoice.KEEP
    return ResolutionChoice.REFUND
