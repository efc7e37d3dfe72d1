"""JSON values into frozen dataclasses, strictly, with the path of what is wrong."""

import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from domain.errors import CommerceError

T = TypeVar("T")


class InvalidDocument(CommerceError):
    """The content of a document breaks its rules: a mistake of ours, found before it is issued."""

    code = "invalid_document"


def decode(kind: type[T], value: Any, path: str = "document") -> T:
    """The value as `kind`; raises InvalidDocument for a missing, unknown or ill-typed field."""
    result: T = _decode(kind, value, path)
    return result


def _decode(kind: Any, value: Any, path: str) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        inner = next(option for option in get_args(kind) if option is not type(None))
        return None if value is None else _decode(inner, value, path)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise InvalidDocument(f"{path} is no list")
        item = get_args(kind)[0]
        return tuple(_decode(item, entry, f"{path}[{index}]") for index, entry in enumerate(value))
    if is_dataclass(kind):
        return _decode_object(kind, value, path)
    if type(value) is not kind:  # exactly: a bool is no int here
        raise InvalidDocument(f"{path} is no {kind.__name__}: {value!r}")
    return value


def _decode_object(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise InvalidDocument(f"{path} is no object")
    known = {field.name: field for field in fields(kind)}
    for name in value:
        if name not in known:
            raise InvalidDocument(f"{path}.{name} is no field of a document")
    hints = get_type_hints(kind)
    found = {}
    for name, field in known.items():
        if name in value:
            found[name] = _decode(hints[name], value[name], f"{path}.{name}")
        elif field.default is MISSING:
            raise InvalidDocument(f"{path}.{name} is missing")
    return kind(**found)
