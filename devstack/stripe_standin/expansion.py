"""`expand[]`: ids replaced by the objects themselves, up to four levels deep."""

from collections.abc import Callable, Mapping
from typing import Any

from devstack.stripe_standin.errors import ApiError, invalid_parameter
from devstack.stripe_standin.store import Object

_DEEPEST = 4
_OF_SEVERAL_KINDS = {("balance_transaction", "source")}


class Expander:
    """Knows which fields of which objects can be expanded."""

    def __init__(
        self,
        expandable: dict[str, frozenset[str]],
        find: Callable[[str], Object | None],
        included: Mapping[tuple[str, str], Callable[[Object], Any]],
    ) -> None:
        """`find` gives an object by id, `included` what a field that is left out otherwise holds, by the
        kind of object and the field."""
        self._expandable = expandable
        self._find = find
        self._included = included

    def expand(self, body: Object, paths: list[str]) -> Object:
        """The body with every path expanded; 400 for a path that can't be."""
        for path in paths:
            steps = path.split(".")
            if len(steps) > _DEEPEST:
                raise invalid_parameter(
                    f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}", "expand"
                )
            self._walk(body, steps, path)
        return body

    def _walk(self, node: Any, steps: list[str], path: str, *, several: bool = False) -> None:
        """`several`: the node is one of several kinds of object, and not all have all fields."""
        if not steps or node is None:
            return
        step, rest = steps[0], steps[1:]
        if node.get("object") == "list":
            if step != "data":
                raise _not_expandable(path)
            for item in node["data"]:
                self._walk(item, rest, path)
            return
        kind = node.get("object", "")
        if (kind, step) in self._included:
            node[step] = self._included[kind, step](node)
        elif step in self._expandable.get(kind, ()):
            value = node.get(step)
            if isinstance(value, str):
                node[step] = self._find(value) or value
        elif several:
            return
        elif not isinstance(node.get(step), dict) or not rest:
            raise _not_expandable(path)
        below = node.get(step)
        if isinstance(below, dict):
            self._walk(below, rest, path, several=(kind, step) in _OF_SEVERAL_KINDS)


def _not_expandable(path: str) -> ApiError:
    return invalid_parameter(
        f"This property cannot be expanded ({path}). You may want to try expanding an attribute of the object"
        " instead.",
        "expand",
    )
