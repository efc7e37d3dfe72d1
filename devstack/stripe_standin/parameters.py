"""Parameters read by the table made from the OpenAPI subset: unknown, ill-typed and missing ones refused."""

import json
import re
from typing import Any

from devstack.stripe_standin.errors import ApiError, invalid_parameter, missing_parameter
from devstack.stripe_standin.generate import TABLE

_INTEGER = re.compile(r"-?\d{1,18}$")
_MOST_METADATA = 50
_LONGEST_NAME = 40
_LONGEST_VALUE = 500


class Parameters:
    """The parameter table; `read` turns a parsed form into typed values."""

    def __init__(self) -> None:
        table = json.loads(TABLE.read_text())
        self.version: str = table["version"]
        self.operations: dict[str, str] = table["operations"]
        self.expandable: dict[str, frozenset[str]] = {
            kind: frozenset(fields) for kind, fields in table["expandable"].items()
        }
        self._types: dict[str, Any] = table["types"]

    def read(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Typed parameters of an operation such as `POST /v1/refunds`; raises Stripe's 400s."""
        if "/payment_intents" in operation and "payment_method_types" in given:
            raise invalid_parameter(
                "payment_method_types is no longer supported on PaymentIntents. Use"
                " automatic_payment_methods or allowed_payment_method_types instead.",
                "payment_method_types",
                "payment_method_types_no_longer_supported",
            )
        name = self.operations[operation]
        spec = self._types[name] if name else {"object": {}, "required": []}
        values: dict[str, Any] = self._object(spec, given, "")
        _check_metadata(values.get("metadata"))
        return values

    def _value(self, spec: Any, given: Any, path: str) -> Any:
        if isinstance(spec, str):
            return _scalar(spec, given, path)
        if "ref" in spec:
            return self._value(self._types[spec["ref"]], given, path)
        if "any" in spec:
            return self._one_of(spec["any"], given, path)
        if "enum" in spec:
            return _choice(spec["enum"], given, path)
        return self._members(spec, given, path)

    def _members(self, spec: Any, given: Any, path: str) -> Any:
        if not isinstance(given, dict):
            raise _empty(path) if given == "" else invalid_parameter(f"Invalid {_shape(spec)}", path)
        if "array" in spec:
            return [self._value(spec["array"], item, f"{path}[{i}]") for i, item in _items(given, path)]
        if "map" in spec:
            return {name: self._map_value(spec, item, f"{path}[{name}]") for name, item in given.items()}
        return self._object(spec, given, path)

    def _map_value(self, spec: Any, given: Any, path: str) -> Any:
        # An empty value takes a member away, as in metadata.
        return "" if given == "" else self._value(spec["map"], given, path)

    def _object(self, spec: Any, given: dict[str, Any], path: str) -> dict[str, Any]:
        members = spec["object"]
        unknown = [_below(path, name) for name in given if name not in members]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            message = f"Received unknown parameter{plural}: {', '.join(unknown)}"
            raise invalid_parameter(message, unknown[0], "parameter_unknown")
        for name in spec["required"]:
            if name not in given:
                raise missing_parameter(_below(path, name))
        return {name: self._value(members[name], value, _below(path, name)) for name, value in given.items()}

    def _one_of(self, options: list[Any], given: Any, path: str) -> Any:
        first: ApiError | None = None
        for option in options:
            try:
                return self._value(option, given, path)
            except ApiError as error:
                # The refusal of an alternative of the same shape says most.
                fits = isinstance(given, dict) == self._takes_members(option)
                first = error if first is None or (fits and "code" not in first.error) else first
        assert first is not None
        raise first

    def _takes_members(self, option: Any) -> bool:
        return isinstance(option, dict) and bool({"ref", "object", "map", "array"} & option.keys())


def _below(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _shape(spec: dict[str, Any]) -> str:
    return "array" if "array" in spec else "object"


def _items(given: dict[str, Any], path: str) -> list[tuple[int, Any]]:
    if not all(key.isdigit() for key in given):
        raise invalid_parameter("Invalid array", path)
    return list(enumerate(given[key] for key in sorted(given, key=int)))


def _empty(path: str) -> ApiError:
    return invalid_parameter(
        f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a"
        f" parameter; however '{path}' cannot be unset. You should remove '{path}' from your request or"
        " supply a non-empty value.",
        path,
        "parameter_invalid_empty",
    )


def _scalar(kind: str, given: Any, path: str) -> Any:
    if isinstance(given, dict):
        if kind == "any":
            return given
        raise invalid_parameter(f"Invalid {kind}: {json.dumps(given)}", path)
    if given == "":
        raise _empty(path)
    if kind == "integer":
        if not _INTEGER.match(given):
            raise invalid_parameter(f"Invalid integer: {given}", path, "parameter_invalid_integer")
        return int(given)
    if kind == "boolean":
        if given not in ("true", "false"):
            raise invalid_parameter(f"Invalid boolean: {given}", path)
        return given == "true"
    return given


def _choice(values: list[Any], given: Any, path: str) -> Any:
    for value in values:
        if given == value or (isinstance(value, bool) and given == str(value).lower()):
            return value
    if given == "":
        raise _empty(path)
    if isinstance(given, dict):
        raise invalid_parameter("Invalid string", path)
    raise invalid_parameter(f"Invalid {path}: must be one of {', '.join(map(str, values))}", path)


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > _MOST_METADATA:
        raise invalid_parameter(f"Metadata can have at most {_MOST_METADATA} keys.", "metadata")
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise invalid_parameter("Metadata values must be strings.", f"metadata[{name}]")
        if len(name) > _LONGEST_NAME:
            raise invalid_parameter(
                f"Metadata keys can have up to {_LONGEST_NAME} characters.", f"metadata[{name}]"
            )
        if len(value) > _LONGEST_VALUE:
            raise invalid_parameter(
                f"Metadata values can have up to {_LONGEST_VALUE} characters.", f"metadata[{name}]"
            )
