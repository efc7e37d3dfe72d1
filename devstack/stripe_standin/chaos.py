"""What goes wrong with webhook deliveries on request."""

import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from devstack.stripe_standin.store import Store

_REORDER_WINDOW_SECONDS = 0.4
_SETTING = "chaos"


@dataclass
class Chaos:
    """Kept in the database, so that a restart goes on with it."""

    duplicate: int = 0
    """Further copies sent of each event."""
    reorder: bool = False
    """Gather what comes within a moment, then send one at a time, newest first."""
    delay_seconds: float = 0.0
    """Pause before the first attempt."""
    drop: list[str] = field(default_factory=list)
    """Event types that are not sent (`*`: none is); the events list still has them."""
    old_secret: str | None = None
    """Sign with this secret instead of the endpoint's."""
    paused: bool = False
    """Send nothing for now; deliveries wait."""
    count: int | None = None
    """New events that duplicate, delay and drop apply to (None: all until told otherwise)."""

    @classmethod
    def load(cls, store: Store) -> Self:
        """The chaos in force."""
        return cls(**store.setting(_SETTING, {}))

    def save(self, store: Store) -> None:
        """Remember it."""
        store.set_setting(_SETTING, asdict(self))

    def change(self, store: Store, given: dict[str, Any]) -> None:
        """Replace everything but the pause, which has its own buttons; refuses unknown members."""
        unknown = given.keys() - {member.name for member in fields(self)}
        if unknown:
            raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
        fresh = Chaos(**{"paused": self.paused, **given})
        for member in fields(self):
            setattr(self, member.name, getattr(fresh, member.name))
        self.save(store)

    def described(self) -> dict[str, Any]:
        """What is in force."""
        return asdict(self)

    def calm_down(self) -> None:
        """Back to normal, without remembering it: the settings are gone already."""
        for member in fields(self):
            setattr(self, member.name, getattr(Chaos(), member.name))

    def take(self, store: Store) -> "Chaos":
        """The chaos for one new event; a counted one wears off."""
        if self.count is None:
            return self
        current = Chaos(**asdict(self))
        self.count -= 1
        if self.count <= 0:
            self.change(store, {"reorder": self.reorder, "old_secret": self.old_secret})
        else:
            self.save(store)
        return current

    def first_due(self, store: Store) -> float:
        """When a new delivery is due (real time); reordered ones gather until the first of them is due."""
        now = time.time()
        if not self.reorder:
            return now + self.delay_seconds
        row = store.db.execute(
            "SELECT min(due_at) AS at FROM delivery WHERE state = 'pending' AND attempts = 0 AND due_at > ?",
            (now,),
        ).fetchone()
        return float(row["at"] or now + self.delay_seconds + _REORDER_WINDOW_SECONDS)
