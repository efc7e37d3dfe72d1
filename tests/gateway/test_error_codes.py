"""Every code that the product can answer with is documented on the page that a problem's `type` names."""

import re
from pathlib import Path

from api.error_codes import ERROR_CODES

ROOT = Path(__file__).parent.parent.parent
# Codes of the processor, and of mistakes inside: those reach a caller as `internal`.
FOREIGN = {
    "external_error",
    "invalid_document",
    "ledger_error",
    "not_allocatable",
    "payment_intent_unexpected_state",
}


def test_every_code_in_the_source_is_documented() -> None:
    used: set[str] = set()
    for folder in ("api", "activities", "domain", "integrations", "models", "workflows"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            used |= set(re.findall(r'\bcode="([a-z_]+)"', text))
            used |= set(re.findall(r'^    code = "([a-z_]+)"', text, re.M))
            used |= set(re.findall(r'Refusal\("([a-z_]+)"', text))
    assert len(used) > 30
    assert used - FOREIGN - set(ERROR_CODES) == set()
