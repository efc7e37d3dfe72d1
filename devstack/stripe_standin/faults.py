"""Faults on request: what the next matching calls of the API suffer."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal[
    "latency",  # wait `seconds` with the idempotency key taken, then answer as usual
    "429",  # `rate_limit`; no effect, nothing kept under the key
    "lock_timeout",  # 429 `lock_timeout` with Stripe-Should-Retry; no effect
    "500_before",  # `status` without an effect; kept under the key only with `kept`
    "500_after",  # do it, then answer `status`; kept and replayed unless `kept` is false
    "cut_before",  # the connection is reset; no effect
    "cut_after",  # do it, then reset the connection
    "timeout",  # do it, then stay silent for `seconds` and reset the connection
]
_KEPT_BY_DEFAULT = ("500_after",)
_SILENT_SECONDS = 60.0


@dataclass
class Fault:
    """One fault; it applies `count` times (None: until cleared), after letting `skip` calls pass.

    `path` is exact, but `*` stands for one segment and `**` for anything: `/v1/payment_intents/*/confirm`.
    """

    method: str
    path: str
    kind: Kind
    count: int | None = 1
    skip: int = 0
    seconds: float | None = None
    status: int = 500
    kept: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what would never match; put the defaults in."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}")
        if not 500 <= self.status <= 599:
            raise ValueError("status must be from 500 to 599")
        if self.kept is None:
            self.kept = self.kind in _KEPT_BY_DEFAULT
        if self.seconds is None:
            self.seconds = _SILENT_SECONDS if self.kind == "timeout" else 1.0

    def matches(self, method: str, path: str) -> bool:
        """Whether the call is one of those meant."""
        pattern = re.escape(self.path).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")
        return self.method.upper() in (method, "*") and re.fullmatch(pattern, path) is not None


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
        """What is in force, with what is left of it."""
        return [asdict(fault) for fault in self._faults]

    def take(self, method: str, path: str) -> Fault | None:
        """The first matching fault, used up by one."""
        for fault in self._faults:
            if not fault.matches(method, path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self._faults.remove(fault)
            return fault
        return None
