"""What answers are held against: Stripe's OpenAPI subset, and the annotations of the SDK's classes."""

import ast
import importlib
import inspect
import json
import re
import sys
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

SUBSET_FILE = Path(__file__).parent.parent / "data" / "stripe-openapi-subset.json"
SUBSET = json.loads(SUBSET_FILE.read_text())
_REGISTRY = Registry().with_resource("urn:stripe", Resource(SUBSET, DRAFT202012))
_PATHS = [
    (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), methods)
    for path, methods in SUBSET["paths"].items()
]


@cache
def _validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"urn:stripe#{pointer}"}, registry=_REGISTRY)


def check_schema(schema: str, body: Any) -> None:
    """The body is what the named component says."""
    _raise_first(_validator(f"/components/schemas/{schema}"), body)


def _raise_first(validator: Draft202012Validator, body: Any) -> None:
    errors = sorted(validator.iter_errors(body), key=lambda error: -len(error.path))
    assert not errors, f"{list(errors[0].path)}: {errors[0].message[:600]}"


def check_answer(method: str, path: str, status: int, body: Any) -> None:
    """The answer is what the subset says of its operation; events carry what their type says."""
    if status >= 400:
        check_schema("error", body)
        return
    for pattern, methods in _PATHS:
        if pattern.fullmatch(path) and method.lower() in methods:
            escaped = next(key for key, value in SUBSET["paths"].items() if value is methods)
            escaped = escaped.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
            pointer = f"/paths/{escaped}/{method.lower()}/responses/200/content/application~1json/schema"
            _raise_first(_validator(pointer), body)
            return
    raise AssertionError(f"{method} {path} is not in the subset")


def check_event(event: dict[str, Any]) -> None:
    """An event's envelope and object."""
    check_schema("Event", event)
    check_schema(SUBSET["info"]["x-event-types"][event["type"]], event["data"]["object"])


class SdkTypes:
    """Compares JSON with the annotations of the SDK's classes: members there, and of the right type."""

    def check(self, cls: type, value: Any, path: str = "") -> None:
        """Every annotated member that may not be None is there and fits."""
        assert isinstance(value, dict), f"{path}: {value!r} is no object"
        for name, annotation in vars(cls).get("__annotations__", {}).items():
            if "ClassVar" in str(annotation) or name == "deleted":
                continue
            self._fits(cls, annotation, value.get(name), f"{path}.{name}")

    def _fits(self, cls: type, annotation: Any, value: Any, path: str) -> None:
        assert self._matches(cls, annotation, value, path), f"{path}: {value!r} is no {annotation}"

    def _matches(self, cls: type, annotation: Any, value: Any, path: str) -> bool:
        if isinstance(annotation, str | ForwardRef):
            annotation = self._resolve(cls, annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if annotation is Any or annotation is None:
            return annotation is Any or value is None
        if origin in (Union, UnionType):
            return any(self._tries(cls, one, value, path) for one in arguments)
        if origin is Literal:
            return value in arguments
        if origin is list:
            return isinstance(value, list) and all(self._tries(cls, arguments[0], v, path) for v in value)
        if origin is dict:
            return isinstance(value, dict)
        if origin is not None:  # ListObject[...] and UntypedStripeObject[...]
            return isinstance(value, dict)
        return self._is(annotation, value, path)

    def _is(self, kind: Any, value: Any, path: str) -> bool:
        if kind is type(None):
            return value is None
        if kind is float:
            return type(value) in (int, float)
        if kind in (int, str, bool):
            return type(value) is kind
        if inspect.isclass(kind) and issubclass(kind, stripe.StripeObject):
            if isinstance(value, dict):
                self.check(kind, value, path)
                return True
            return False
        return True

    def _tries(self, cls: type, annotation: Any, value: Any, path: str) -> bool:
        try:
            return self._matches(cls, annotation, value, path)
        except AssertionError:
            # Among several object types one may fit; the only object type must.
            if isinstance(value, dict) and "object" not in value:
                raise
            return False

    def _resolve(self, cls: type, annotation: str | ForwardRef) -> Any:
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        head, _, rest = text.partition(".")
        found: Any = vars(sys.modules[cls.__module__]).get(head)
        if found is None:
            module, name = _type_checking_imports(cls.__module__)[head]
            found = getattr(importlib.import_module(module), name)
        for step in rest.split(".") if rest else []:
            found = getattr(found, step)
        return found


@cache
def _type_checking_imports(module: str) -> dict[str, tuple[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


SDK_CLASSES: dict[str, type] = {
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "refund": stripe.Refund,
    "tax.calculation": stripe.tax.Calculation,
    "tax.calculation_line_item": stripe.tax.CalculationLineItem,
    "tax.transaction": stripe.tax.Transaction,
    "tax.transaction_line_item": stripe.tax.TransactionLineItem,
    "webhook_endpoint": stripe.WebhookEndpoint,
}


def check_sdk(body: Any) -> None:
    """The answer fits the SDK's class for it; lists item by item."""
    if body.get("object") == "list":
        for item in body["data"]:
            check_sdk(item)
    elif body.get("object") in SDK_CLASSES and not body.get("deleted"):
        SdkTypes().check(SDK_CLASSES[body["object"]], body, body["object"])
