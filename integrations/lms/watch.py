"""The check of the LMS when a process starts, in the background: selling waits for no LMS."""

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from integrations.lms.port import Lms, LmsCheck

log = logging.getLogger(__name__)

_AWAY_SECONDS = 30.0
# Mended at the LMS, it shows without a restart.
_WRONG_SECONDS = 300.0


class LmsWatch:
    """Checks the LMS until all is well, and keeps what it found; an async context manager."""

    def __init__(
        self, lms: Lms, *, away_seconds: float = _AWAY_SECONDS, wrong_seconds: float = _WRONG_SECONDS
    ) -> None:
        """How long until an LMS that is away, or refuses us, is asked again."""
        self._lms = lms
        self._away_seconds = away_seconds
        self._wrong_seconds = wrong_seconds
        self._last: LmsCheck | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="lms-watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    @property
    def complaint(self) -> str | None:
        """What an operator has to mend, with the setting to look at; None as far as it is known."""
        if self._last is None or self._last.ok or self._last.away:
            return None
        return _said(self._last)

    async def _run(self) -> None:
        while True:
            found = await self._lms.check()
            if found != self._last:
                _tell(found)
            self._last = found
            if found.ok:
                return
            await asyncio.sleep(self._away_seconds if found.away else self._wrong_seconds)


def _tell(found: LmsCheck) -> None:
    if found.ok:
        log.info("the LMS at %s: %s", found.address, found.detail)
    elif found.away:
        log.warning("the LMS at %s could not be checked and is asked again: %s", found.address, found.detail)
    else:
        log.error("the LMS at %s can't be used as configured: %s", found.address, _said(found))


def _said(found: LmsCheck) -> str:
    return found.detail if found.setting is None else f"{found.detail} (look at {found.setting})"
