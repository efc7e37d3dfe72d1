"""What became of a case, and the two reasons why one can't be run."""

from dataclasses import dataclass


class Malformed(Exception):
    """The file is not of the golden form; the text says where."""


class Unsupported(Exception):
    """A case asks for something that the runner does not know; the text says what."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: it passed when there are no differences; `unsupported` says why it was not run."""

    part: str
    id: str
    differences: tuple[str, ...] = ()
    unsupported: str | None = None
