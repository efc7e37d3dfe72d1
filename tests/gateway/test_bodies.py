"""Bodies are taken at their word: a number is no truth value, and neither is written as text."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from api.main import create_app
from api.schemas.common import Body

assert create_app  # loads every route, and with it every body
# What stands for each type without being it.
OTHERS: dict[str, tuple[Any, ...]] = {
    "integer": (True, "1", 1.5),
    "boolean": (1, "true"),
    "string": (1, True),
}


def bodies(of: type[BaseModel] = Body) -> list[type[BaseModel]]:
    found = of.__subclasses__()
    return found + [below for one in found for below in bodies(one)]


def types_of(schema: dict[str, Any]) -> set[str]:
    """The plain types that a member may have."""
    return {one.get("type", "") for one in [schema, *schema.get("anyOf", [])]}


def members() -> list[tuple[type[BaseModel], str, str]]:
    return [
        (body, name, kind)
        for body in bodies()
        for name, schema in body.model_json_schema().get("properties", {}).items()
        for kind in OTHERS
        if kind in types_of(schema)
    ]


@pytest.mark.parametrize(
    ("body", "name", "kind"), members(), ids=lambda value: getattr(value, "__name__", value)
)
def test_nothing_is_taken_for_what_it_is_not(body: type[BaseModel], name: str, kind: str) -> None:
    schema = body.model_json_schema()["properties"][name]
    for other in OTHERS[kind]:
        if other is True and "boolean" in types_of(schema):
            continue
        with pytest.raises(ValidationError) as refused:
            body.model_validate({name: other})
        places = {str(error["loc"][0]) for error in refused.value.errors()}
        assert name in places, f"{body.__name__}.{name} took {other!r}"
