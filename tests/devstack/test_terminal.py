"""What commands print: ids that can be pasted, and whole lines where no terminal cuts them."""

import io

import pytest
from rich.console import Console

from commands.terminal import new_console, show, table_of

ID = "0198c0de-1234-7abc-8def-0123456789ab"
SENTENCE = "every posting of an order has a business fact of its own " * 4


def printed(console: Console) -> str:
    table = table_of("id", "name", "scopes")
    table.add_row(ID, SENTENCE.strip(), "webhooks:read webhooks:write")
    show(table, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [30, 80])
def test_a_narrow_terminal_cuts_no_id(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    text = printed(console)
    assert ID in text
    assert "\u2026" not in text
    assert max(map(len, text.splitlines())) <= max(width, 70), "what is no id is folded"


def test_what_no_terminal_shows_is_neither_cut_nor_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    console = new_console()
    console.print(f"ok  {SENTENCE}")
    assert f"ok  {SENTENCE}" in pipe.getvalue()
    console = Console(file=io.StringIO(), soft_wrap=True, width=80)
    assert f"{ID} \u2502 {SENTENCE.strip()} \u2502 webhooks:read webhooks:write" in printed(console)
