"""What an invariant is: a query that returns its violations, in words; no row means it holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """A name, what must hold, and a query of one text column `violation`."""

    name: str
    meaning: str
    query: str
