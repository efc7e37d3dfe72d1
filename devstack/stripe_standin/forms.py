"""Form bodies and query strings with brackets: `metadata[order_id]=1`, `expand[]=a`, `expand[0]=a`."""

import re
from typing import Any
from urllib.parse import parse_qsl

from devstack.stripe_standin.errors import invalid_parameter

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


def parse_form(encoded: str) -> dict[str, Any]:
    """Nested dictionaries of texts; arrays are dictionaries by index, because only the schema tells them."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(encoded, keep_blank_values=True):
        match = _KEY.match(key)
        if match is None:
            raise invalid_parameter(f"Invalid parameter name: {key}", key)
        _put(tree, [match[1], *_BRACKET.findall(match[2])], value, key)
    return tree


def _put(tree: dict[str, Any], path: list[str], value: str, key: str) -> None:
    node = tree
    for step in path[:-1]:
        below = node.setdefault(step or str(len(node)), {})
        if not isinstance(below, dict):
            raise invalid_parameter(f"Invalid hash: {key}", key)
        node = below
    last = path[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise invalid_parameter(f"Invalid hash: {key}", key)
    node[last] = value
