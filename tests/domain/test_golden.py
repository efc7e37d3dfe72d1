"""The worked cases, and the runner that checks them."""

import copy
import json
from pathlib import Path

import pytest

from tests.golden.__main__ import main

FILE = Path(__file__).parents[1] / "data" / "golden_cases.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))


def last_line(capsys):
    """The last line that the runner printed."""
    return capsys.readouterr().out.splitlines()[-1]


def test_all_worked_cases_pass(capsys):
    assert main([str(FILE)]) == 0
    count = sum(len(CASES[part]) for part in ("ledger", "pricing", "allocation", "tiers", "reversal"))
    assert last_line(capsys) == f"{count} passed, 0 failed"


def planted(change):
    """The worked cases with one thing changed."""
    cases = copy.deepcopy(CASES)
    change(cases)
    return cases


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["ledger"][0]["balances"][0].update(amount=1),
        lambda c: c["ledger"][0]["balances"].pop(),
        lambda c: c["ledger"][0]["steps"][0]["entries"][0]["postings"][0].update(amount=10_711),
        lambda c: c["ledger"][0]["steps"][0]["entries"][0].update(kind="captured"),
        lambda c: c["ledger"][0]["steps"][0].update(entries=[]),
        lambda c: c["ledger"][0]["steps"][4]["entries"].reverse(),
        lambda c: c["ledger"][0]["steps"][4]["earnings"].pop(),
        lambda c: c["ledger"][4]["steps"][3]["earnings"][0].__setitem__(4, "released"),
        lambda c: c["pricing"][0]["totals"].update(gross=1),
        lambda c: c["pricing"][0]["expected"][0].__setitem__(2, 751),
        lambda c: c["allocation"][0]["expected"].pop(),
        lambda c: c["tiers"][0].update(prior=0),
        lambda c: c["reversal"][0]["cumulative"].update({"1": [0, 1, 0]}),
    ],
)
def test_a_wrong_expectation_fails(change, tmp_path, capsys):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(planted(change)), encoding="utf-8")
    assert main([str(path)]) == 1
    assert last_line(capsys).endswith("passed, 1 failed")


def test_what_is_unknown_is_counted_apart(tmp_path, capsys):
    path = tmp_path / "cases.json"
    step = {"event": {"id": "e1", "type": "moon_eclipsed"}, "entries": [], "earnings": []}
    case = {"id": "X1", "currency": "EUR", "steps": [step], "balances": []}
    path.write_text(json.dumps({"ledger": [case]}), encoding="utf-8")
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["1 not yet supported", "0 passed, 0 failed"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "no JSON object"),
        ('{"ledger": {}}', "`ledger` is no list"),
        ('{"ledger": [{"title": "no id"}]}', "`ledger` is no list"),
        ('{"ledger": [{"id": "X"}]}', "ledger case X: 'currency' is missing"),
        ('{"pricing": [{"id": "X", "order": 5, "expected_columns": []}]}', "pricing case X"),
        ('{"allocation": [{"id": "X", "basis": "5", "rule": {}, "expected": []}]}', "allocation case X"),
    ],
)
def test_a_bad_file_is_named_and_exits_with_2(content, complaint, tmp_path, capsys):
    path = tmp_path / "cases.json"
    path.write_text(content, encoding="utf-8")
    assert main([str(path)]) == 2
    assert complaint in capsys.readouterr().err


def test_a_missing_file_or_argument_exits_with_2(tmp_path, capsys):
    assert main([str(tmp_path / "none.json")]) == 2
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_an_empty_file_has_no_cases(tmp_path, capsys):
    path = tmp_path / "cases.json"
    path.write_text("{}", encoding="utf-8")
    assert main([str(path)]) == 0
    assert last_line(capsys) == "0 passed, 0 failed"
