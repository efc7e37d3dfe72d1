"""One log stream for all parts: coloured prefixes on the terminal, one file a part."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

_WIDTH = 10
_COLOURS = {
    "stack": "1",
    "postgres": "34",
    "temporal": "35",
    "stripe": "36",
    "lms": "33",
    "payout": "32",
    "migrations": "94",
    "seed": "94",
    "gateway": "92",
    "worker": "95",
}
_ROTATE_BYTES = 8 * 1024 * 1024


class LogSink:
    """Takes the lines of all parts. `console` None keeps the terminal quiet; files are written anyway."""

    def __init__(self, console: TextIO | None = None) -> None:
        self._console = console
        self._coloured = console is not None and console.isatty() and "NO_COLOR" not in os.environ
        self._directory: Path | None = None
        self._files: dict[str, TextIO] = {}
        self._last: dict[str, list[str]] = {}
        self._hushed: set[str] = set()

    @classmethod
    def to_terminal(cls) -> "LogSink":
        """A sink that also prints."""
        return cls(sys.stdout)

    def open(self, directory: Path) -> None:
        """Write files under `directory` from now on."""
        self._directory = directory

    def line(self, part: str, text: str, *, quiet: bool = False) -> None:
        """Take one line of a part; a quiet one goes to the file only."""
        recent = self._last.setdefault(part, [])
        recent.append(text)
        del recent[:-20]
        if file := self._file(part):
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {text}\n")
            file.flush()
        if self._console is not None and not quiet and part not in self._hushed:
            self._print(part, text)

    def note(self, text: str) -> None:
        """Say something about the stack itself."""
        self.line("stack", text)

    def hush(self, part: str, *, on: bool) -> None:
        """Keep a part off the terminal: servers are noisy while they start and stop."""
        (self._hushed.add if on else self._hushed.discard)(part)

    def recent(self, part: str, count: int = 8) -> list[str]:
        """The last lines of a part, for an error message."""
        return self._last.get(part, [])[-count:]

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._directory = None

    def _print(self, part: str, text: str) -> None:
        assert self._console is not None
        prefix = f"{part:<{_WIDTH}}|"
        if self._coloured:
            prefix = f"\x1b[{_COLOURS.get(part, '37')}m{prefix}\x1b[0m"
        try:
            print(prefix, text, file=self._console, flush=True)
        except (BrokenPipeError, ValueError):
            self._console = None  # Nobody reads any more (`commerce dev | head`); the files go on.

    def _file(self, part: str) -> TextIO | None:
        if self._directory is None:
            return None
        if part not in self._files:
            path = self._directory / f"{part}.log"
            if path.exists() and path.stat().st_size > _ROTATE_BYTES:
                path.replace(path.with_suffix(".log.1"))
            self._files[part] = path.open("a", encoding="utf-8")
        return self._files[part]
