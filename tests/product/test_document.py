"""The OpenAPI document: valid, complete, and with examples that are what they say."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter

from api.error_codes import ERROR_CODES
from api.openapi import product_routes
from api.operation_errors import OWN_CODES
from domain.event_types import EventType
from tests.harness.event_schemas import whole

Operation = dict[str, Any]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def members(schema: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of a schema, also those within its parts; what it refers to stands elsewhere."""
    if not isinstance(schema, dict):
        return
    for name, member in schema.get("properties", {}).items():
        yield f"{where}.{name}", member
        yield from members(member, f"{where}.{name}")
    for several in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(several, ()):
            yield from members(part, where)
    for single in ("items", "additionalProperties"):
        yield from members(schema.get(single), where)


def members_of(name: str, operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every parameter of an operation, and what its bodies hold without a reference."""
    for parameter in operation.get("parameters", ()):
        yield f"{name} {parameter['in']} {parameter['name']}", parameter
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media in body.get("content", {}).values():
            yield from members(media.get("schema"), name)


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_operations_have_an_id_of_their_own_a_tag_and_words(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids) > 80
    described = {tag["name"] for tag in document["tags"]}
    lacking = [
        name
        for name, operation in operations(document)
        if not operation.get("description") or not set(operation.get("tags", ["none"])) <= described
    ]
    assert lacking == []


def test_every_member_and_parameter_has_words(document: dict[str, Any]) -> None:
    found = [
        *(one for name, schema in document["components"]["schemas"].items() for one in members(schema, name)),
        *(one for name, operation in operations(document) for one in members_of(name, operation)),
        *(one for name, methods in document["webhooks"].items() for one in members_of(name, methods["post"])),
    ]
    assert len(found) > 1000
    assert [where for where, member in found if not member.get("description")] == []


def test_security_schemes_are_defined_and_used(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"person", "machine"}
    for name, operation in operations(document):
        for entry in operation.get("security", []):
            assert set(entry) <= set(schemes), name
        assert ("401" in operation["responses"]) == bool(operation.get("security")) or operation["tags"] == [
            "auth"
        ]


def test_every_error_of_an_operation_is_documented_with_an_example(document: dict[str, Any]) -> None:
    known = {operation["operationId"] for _, operation in operations(document)}
    assert set(OWN_CODES) <= known
    named: set[str] = set()
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/problem+json")
            if content is None:
                assert status < "400" or name == "GET /readyz", (name, status)
                continue
            for code, example in content["examples"].items():
                assert ERROR_CODES[code].status == example["value"]["status"] == int(status), (name, code)
                named.add(code)
    # 405 is the router's own, before any operation; the others are raised for what workflows meet.
    assert set(ERROR_CODES) - named == {"method_not_allowed", "unknown_course", "user_not_ready"}


def test_examples_are_good_bodies_and_answers(document: dict[str, Any]) -> None:
    wrong: list[str] = []
    count = 0
    for name, operation in operations(document):
        answers = [a for status, a in operation["responses"].items() if status.startswith("2")]
        for body in (operation.get("requestBody"), *answers):
            media = (body or {}).get("content", {}).get("application/json")
            if media is None or not media["schema"]:
                continue
            count += 1
            schema = {"components": document["components"], **media["schema"]}
            validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
            wrong += [
                f"{name}: {e.json_path}: {e.message[:200]}" for e in validator.iter_errors(media["example"])
            ]
    assert count > 100
    assert wrong == []


def test_every_event_is_documented_with_an_example_that_fits(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == [kind.value for kind in EventType]
    wrong: list[str] = []
    for name, methods in document["webhooks"].items():
        media = methods["post"]["requestBody"]["content"]["application/json"]
        schema = whole(media["schema"], document)
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        wrong += [f"{name}: {e.json_path}: {e.message}" for e in validator.iter_errors(media["example"])]
        members = {**schema["properties"], **schema["properties"]["data"]["properties"]}
        wrong += [f"{name}: {field} has no words" for field in members if not members[field]["description"]]
    assert wrong == []


@pytest.mark.parametrize(
    "route",
    [pytest.param(route, id=str(route.operation_id)) for route in product_routes() if route.body_field],
)
def test_the_example_of_a_body_keeps_the_rules_between_fields(route: Any, document: dict[str, Any]) -> None:
    operation = document["paths"][route.path_format][next(iter(route.methods)).lower()]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    TypeAdapter(route.body_field.field_info.annotation).validate_python(example)
