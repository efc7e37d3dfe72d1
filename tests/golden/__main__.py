"""`python -m tests.golden FILE`: run a file of worked cases through the rules of `domain`.

Prints each case that differs, then those not yet supported, then `N passed, N failed` as the last line.
Exits 0 when nothing failed, 1 when something did, 2 when the file can't be read.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from domain.errors import CommerceError
from tests.golden.arithmetic_cases import (
    allocation_differences,
    pricing_differences,
    reversal_differences,
    tiers_differences,
)
from tests.golden.ledger_cases import ledger_differences
from tests.golden.report import CaseResult, Malformed, Unsupported

_PARTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "ledger": ledger_differences,
    "pricing": pricing_differences,
    "allocation": allocation_differences,
    "tiers": tiers_differences,
    "reversal": reversal_differences,
}
_USAGE = "usage: python -m tests.golden FILE"


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The cases of a file by part; raises Malformed when it is not of the golden form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Malformed(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise Malformed(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Malformed(f"{path} holds no JSON object")
    parts: dict[str, list[dict[str, Any]]] = {}
    for part in _PARTS:
        cases = content.get(part)
        if cases is None:
            cases = []
        if not isinstance(cases, list) or not all(
            isinstance(case, dict) and isinstance(case.get("id"), str) for case in cases
        ):
            raise Malformed(f"{path}: `{part}` is no list of cases with an id")
        parts[part] = cases
    return parts


def run(parts: dict[str, list[dict[str, Any]]]) -> list[CaseResult]:
    """Run every case; raises Malformed for a case that lacks what its form asks for."""
    return [_run_case(part, case) for part, cases in parts.items() for case in cases]


def _run_case(part: str, case: dict[str, Any]) -> CaseResult:
    try:
        return CaseResult(part, case["id"], differences=tuple(_PARTS[part](case)))
    except Unsupported as reason:
        return CaseResult(part, case["id"], unsupported=str(reason))
    except CommerceError as refusal:
        return CaseResult(part, case["id"], differences=(f"refused: {refusal.code}: {refusal}",))
    except Malformed as error:
        raise Malformed(f"{part} case {case['id']}: {error}") from error
    except KeyError as error:
        raise Malformed(f"{part} case {case['id']}: {error} is missing") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise Malformed(f"{part} case {case['id']}: {error}") from error


def main(arguments: Sequence[str]) -> int:
    """Run one file, print the outcome, return the exit code."""
    if len(arguments) != 1:
        _complain(_USAGE)
        return 2
    try:
        results = run(read(Path(arguments[0])))
    except Malformed as error:
        _complain(f"bad golden file: {error}")
        return 2
    failed = [result for result in results if result.differences]
    unsupported = [result for result in results if result.unsupported]
    lines = [f"FAILED {r.part} {r.id}: {difference}" for r in failed for difference in r.differences]
    lines += [f"not yet supported: {r.part} {r.id}: {r.unsupported}" for r in unsupported]
    if unsupported:
        lines.append(f"{len(unsupported)} not yet supported")
    lines.append(f"{len(results) - len(failed) - len(unsupported)} passed, {len(failed)} failed")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failed else 0


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
