"""What the OpenAPI document says of an event, as a schema that knows of nothing else."""

from typing import Any

from jsonschema import Draft202012Validator


def whole(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The envelope with its data in place; members that the document does not name are errors."""
    properties = dict(schema["properties"])
    data = document["components"]["schemas"][properties["data"]["$ref"].rpartition("/")[2]]
    properties["data"] = data | {"additionalProperties": False}
    return schema | {"properties": properties, "additionalProperties": False}


def undocumented(event: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """What of an event is not as the document says."""
    media = document["webhooks"][event["type"]]["post"]["requestBody"]["content"]["application/json"]
    validator = Draft202012Validator(
        whole(media["schema"], document), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{event['type']}: {e.json_path}: {e.message}" for e in validator.iter_errors(event)]
