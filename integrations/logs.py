"""Logs: one line an event, with what it happened for (request, workflow, activity), for people or machines.

No line holds a secret or personal data: values of statements and of requests are never logged, paths come
without their query, and what a database says about the values of a row is cut off.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["plain", "json"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOISY = ("httpx", "httpcore", "stripe")
# psycopg repeats a row's values there.
_VALUES = ("DETAIL:", "CONTEXT:", "LINE ")

_bound: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default={})  # noqa: B039 - never changed in place


def bound(name: str) -> str:
    """A field of what is going on here; empty when it has none."""
    return _bound.get().get(name, "")


@contextmanager
def bind(**fields: str) -> Iterator[None]:
    """Add fields to every line that is logged within."""
    token = _bound.set({**_bound.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _bound.reset(token)


class _Plain(logging.Formatter):
    """For people: the line, then what it happened for."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = super().formatMessage(record)
        return _on_one_line(f"{line} [{fields}]" if fields else line)

    def formatException(self, ei: object) -> str:  # noqa: N802
        return _without_values(super().formatException(ei))  # type: ignore[arg-type]


class _Json(logging.Formatter):
    """For machines: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = _without_values(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def configure(log_format: LogFormat) -> None:
    """Have everything that this process logs written to standard error, in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Plain())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # The server's own lines go the same way; its access log is ours, which knows more and tells less.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def _fields(record: logging.LogRecord) -> dict[str, str]:
    own: Mapping[str, str] = getattr(record, "fields", {})
    return {**_bound.get(), **own}


def _on_one_line(text: str) -> str:
    """What ends a line, or moves a terminal's cursor, is written out: callers' words can't forge a line."""
    return _CONTROLS.sub(lambda found: repr(found.group())[1:-1], text)


def _without_values(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(_VALUES))
