"""How many requests to receivers this process has open, and who may open another."""

from collections import Counter

# To one receiver, while there is room: a slow one fills its own share only.
_PER_ENDPOINT = 8
# As the others fill up, a share shrinks to this part of what is free of the shared ones.
_SHARED = 160
_PART_OF_FREE = 8
# One request a receiver beyond that: whoever has none open is not kept waiting by those who are slow. All
# leave room for what moves money (`max_concurrent_activities` in worker.py).
_AT_ALL = 200


class OpenRequests:
    """Counts by endpoint."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, endpoint_id: str) -> bool:
        """Whether another one may be opened; it is counted until `give_back`."""
        total = self._open.total()
        share = min(_PER_ENDPOINT, max(1, (_SHARED - total) // _PART_OF_FREE))
        if total >= _AT_ALL or self._open[endpoint_id] >= share:
            return False
        self._open[endpoint_id] += 1
        return True

    def give_back(self, endpoint_id: str) -> None:
        """One is done."""
        self._open[endpoint_id] -= 1
        if self._open[endpoint_id] <= 0:
            del self._open[endpoint_id]
