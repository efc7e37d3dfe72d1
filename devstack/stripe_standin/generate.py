"""Makes `parameters.json` from the OpenAPI subset: `python -m devstack.stripe_standin.generate SUBSET`.

The table says which parameters each operation takes, and which fields of an object can be expanded. It is
a fifteenth of the subset, so that the server starts quickly and needs no schema at run time.
"""

import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("parameters.json")
_LEFT_OUT = ("/v1/checkout/", "/v1/transfers")
_REF = "#/components/schemas/"


def make_table(subset: dict[str, Any]) -> dict[str, Any]:
    """Operations with their parameter type, the types they reach, and the expandable fields by object."""
    schemas = subset["components"]["schemas"]
    operations: dict[str, str] = {}
    for path, methods in subset["paths"].items():
        if path.startswith(_LEFT_OUT):
            continue
        for method, operation in methods.items():
            operations[f"{method.upper()} {path}"] = _parameter_type(operation)
    types: dict[str, Any] = {}
    waiting = sorted(set(operations.values()) - {""})
    while waiting:
        name = waiting.pop()
        if name not in types:
            types[name] = _spec(schemas[name], waiting)
    return {
        "version": subset["info"]["version"],
        "operations": operations,
        "types": dict(sorted(types.items())),
        "expandable": _expandable(schemas),
    }


def _parameter_type(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    for body in content.values():
        return str(body["schema"]["$ref"]).removeprefix(_REF)
    query = operation.get("x-query", {})
    return str(query.get("$ref", "")).removeprefix(_REF)


def _spec(schema: dict[str, Any], waiting: list[str]) -> Any:
    """The short form of a parameter's schema; referenced types are put on `waiting`."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        waiting.append(name)
        return {"ref": name}
    if "anyOf" in schema:
        return {"any": [_spec(option, waiting) for option in schema["anyOf"]]}
    # Stripe itself refuses what is not in an open enum: it is open for future versions.
    values = schema.get("enum") or schema.get("x-stripe-open-enum") or [schema.get("const")]
    if values != [None]:
        return {"enum": values}
    kind = schema.get("type")
    if kind == "array":
        return {"array": _spec(schema["items"], waiting)}
    if kind == "object":
        return _object_spec(schema, waiting)
    return kind if isinstance(kind, str) else "any"


def _object_spec(schema: dict[str, Any], waiting: list[str]) -> Any:
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return {"map": _spec(more, waiting) if isinstance(more.get("type"), str) else "any"}
    members = {name: _spec(member, waiting) for name, member in schema.get("properties", {}).items()}
    return {"object": members, "required": schema.get("required", [])}


def _expandable(schemas: dict[str, Any]) -> dict[str, list[str]]:
    """Fields that hold an id or the object itself, by the object's `object` member."""
    found: dict[str, list[str]] = {}
    for schema in schemas.values():
        members = schema.get("properties", {})
        kind = members.get("object", {}).get("const")
        if not kind or "id" not in members:
            continue
        fields = [name for name, member in members.items() if _is_id_or_object(member)]
        if fields:
            found[kind] = sorted({*found.get(kind, []), *fields})
    return dict(sorted(found.items()))


def _is_id_or_object(member: dict[str, Any]) -> bool:
    options = member.get("anyOf", [])
    return any(option.get("type") == "string" for option in options) and any(
        "$ref" in option for option in options
    )


def main() -> None:
    """Write the table."""
    table = make_table(json.loads(Path(sys.argv[1]).read_text()))
    TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
