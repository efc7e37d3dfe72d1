"""How the receiver misbehaves on request."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import PlainTextResponse, Response

from devstack.lms_standin.server import CutConnection


@dataclass
class Fault:
    """Applies to the next `count` matching events (None: until cleared)."""

    status: int | None = None
    """What to answer instead: 500, 503, 410, 302 and so on; None answers as usual."""
    count: int | None = 1
    retry_after: str | None = None
    location: str | None = None
    """Where a 3xx points to."""
    latency_seconds: float = 0.0
    body: str = "as you wished"
    after_effect: bool = False
    """Store the event first, so that only the answer is lost."""
    cut: bool = False
    """Reset the connection instead of answering."""
    type: str | None = None
    """Only events of this type."""
    stream: str | None = None
    """Only events of this stream."""

    async def answer(self) -> Response | None:
        """The answer that replaces the true one, or None."""
        await asyncio.sleep(self.latency_seconds)
        if self.cut:
            return CutConnection()
        if self.status is None:
            return None
        wanted = {"retry-after": self.retry_after, "location": self.location}
        headers = {name: value for name, value in wanted.items() if value is not None}
        return PlainTextResponse(self.body, self.status, headers=headers)


class FaultBook:
    """The faults in force; a restart forgets them."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force, behind those that are."""
        self._faults.append(fault)

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def listing(self) -> list[dict[str, Any]]:
        """What is in force."""
        return [asdict(fault) for fault in self._faults]

    def take(self, event_type: str, stream: str | None) -> Fault | None:
        """The first matching fault, used up by one."""
        for fault in self._faults:
            if fault.type in (None, event_type) and fault.stream in (None, stream):
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._faults.remove(fault)
                return fault
        return None
