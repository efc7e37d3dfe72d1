"""Reading the plain JSON of split rules, strictly: an unknown key or a wrong type is an error."""

from collections.abc import Mapping
from typing import Any

from domain.errors import InvalidInput


class SplitRuleInvalid(InvalidInput):
    """A split rule that can't be applied; the detail names the place."""

    code = "split_rule_invalid"


def known_keys(given: Any, name: str, allowed: set[str]) -> None:
    """Refuse anything but a JSON object with keys among `allowed`."""
    if not isinstance(given, Mapping):
        raise SplitRuleInvalid(f"{name} is an object")
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise SplitRuleInvalid(f"unknown in {name}: {', '.join(map(str, unknown))}")


def objects_of(
    given: Mapping[str, Any], key: str, allowed: set[str] | None = None
) -> list[Mapping[str, Any]]:
    """The list of objects under `key`; absent is empty."""
    value = given.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise SplitRuleInvalid(f"{key} is a list of objects")
    for item in value:
        if allowed is not None:
            known_keys(item, key, allowed)
    return value


def payee_of(given: Mapping[str, Any], reserved: str) -> str:
    """The name of a payee; the platform's own is reserved."""
    payee = given.get("payee")
    if not isinstance(payee, str) or not payee.strip() or payee == reserved:
        raise SplitRuleInvalid(f"payee is a name other than `{reserved}`")
    return payee


def amount_of(given: Mapping[str, Any], key: str, *, default: int | None = None) -> int:
    """An amount in minor units, not negative."""
    value = given.get(key, default)
    if type(value) is not int or value < 0:
        raise SplitRuleInvalid(f"{key} is a whole number of minor units, not negative")
    return value


def bps_of(given: Mapping[str, Any], key: str, *, default: int | None = None) -> int:
    """Basis points, 0 to 10000."""
    value = given.get(key, default)
    if type(value) is not int or not 0 <= value <= 10_000:
        raise SplitRuleInvalid(f"{key} is a whole number of basis points from 0 to 10000")
    return value
