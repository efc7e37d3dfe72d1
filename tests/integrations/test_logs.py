"""Lines for people and for machines: what they happened for, and no values."""

import io
import json
import logging

import pytest

from integrations.logs import _Json, _Plain, bind, bound

# Not in the line that raises it: a traceback shows that one.
MESSAGE = "duplicate key\nDETAIL:  Key (email)=(ada@example.com) already exists."


def logged(formatter: logging.Formatter) -> list[str]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log = logging.Logger("commerce")
    log.addHandler(handler)
    with bind(request_id="r-1"):
        with bind(workflow_id="order/1", activity=""):
            log.warning("slow by %d s", 3)
        try:
            raise ValueError(MESSAGE)
        except ValueError:
            log.exception("it failed")
    assert bound("request_id") == ""
    return stream.getvalue().splitlines()


def test_for_machines_a_line_is_one_json_object() -> None:
    first, second = (json.loads(line) for line in logged(_Json()))
    expected = {"level": "warning", "logger": "commerce", "message": "slow by 3 s", "request_id": "r-1"}
    assert {**first, **expected, "workflow_id": "order/1"} == first
    assert "activity" not in first
    assert first["at"].endswith("+00:00")
    assert "workflow_id" not in second
    assert "ValueError: duplicate key" in second["exception"]
    assert "ada@example.com" not in second["exception"]


def test_for_people_the_fields_come_last() -> None:
    lines = logged(_Plain())
    assert lines[0] == "WARNING commerce: slow by 3 s [request_id=r-1 workflow_id=order/1]"
    assert "ValueError: duplicate key" in lines
    assert not any("ada@example.com" in line for line in lines)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\x1b[2K\x1b[1A"])
@pytest.mark.parametrize("formatter", [_Plain(), _Json()])
def test_what_a_caller_sent_forges_no_line(end: str, formatter: logging.Formatter) -> None:
    record = logging.LogRecord(
        "gateway", logging.INFO, "", 0, "GET %s 404", (f"/a{end}INFO gateway: paid",), None
    )
    with bind(request_id=f"r{end}INFO"):
        line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


@pytest.mark.parametrize(("environment", "wanted"), [("production", "json"), ("development", "plain")])
def test_the_format_fits_who_reads(environment: str, wanted: str) -> None:
    from config import Settings

    settings = Settings.model_construct(commerce_env=environment)  # type: ignore[arg-type]
    assert settings.log_lines == wanted
