"""The API against generated requests: no 5xx, and no answer that the OpenAPI document does not know.

`FUZZ_SEED=... pytest tests/product/test_fuzz.py` runs one again; the seed is printed. The test run has one
seed, so that it says the same of the same code; `make fuzz` has another each time.
"""

import os
import random
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation

from devstack.shopper import PASSWORD, US_ADDRESS
from tests.conftest import StackFactory
from tests.harness.product import RunningStack

load_all_checks()
# A well-formed body may break a business rule.
EXCLUDED = [check for check in CHECKS.get_all() if check.__name__ == "positive_data_acceptance"]
assert EXCLUDED

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
SEED = int(os.environ.get("FUZZ_SEED", "1")) or random.SystemRandom().randrange(1, 2**32)

Ids = dict[str, list[str]]


class Fresh(HypothesisProvider):
    """Draws each request anew. Hypothesis's own engine varies those it drew before, so that fewer differ:
    885 of 1,901, and 1,455 of these."""


AVAILABLE_PROVIDERS["fresh"] = f"{__name__}.{Fresh.__name__}"


def sign_in(http: httpx.Client, name: str) -> str:
    answer = http.post("/v1/auth/login", json={"username": f"{name}@example.com", "password": PASSWORD})
    token: str = answer.raise_for_status().json()["access_token"]
    return token


@pytest.fixture(scope="module")
def product(make_stack: StackFactory) -> RunningStack:
    """A product of its own: rules, rates and closed months that a fuzz leaves must not meet other tests."""
    return make_stack(environment={"RATE_LIMIT_FACTOR": "0"})


@pytest.fixture(scope="module")
def http(product: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=product.urls.gateway, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(http: httpx.Client) -> list[str | None]:
    """Operators come in furthest; learners and nobody are refused in documented ways."""
    operator, learner = sign_in(http, "operator"), sign_in(http, "learner")
    return [operator, operator, operator, learner, None]


@pytest.fixture(scope="module")
def ids(http: httpx.Client, tokens: list[str | None]) -> Ids:
    """Objects that exist, so that more than `not_found` is reached."""

    def call(method: str, path: str, body: Any = None, token: str | None = tokens[0]) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
        answer = http.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    found: Ids = {}
    item = call("GET", "/v1/catalog/items/python-101")
    found["item_id"] = found["id_or_slug"] = [item["id"]]
    for token in (tokens[0], tokens[3]):
        call("POST", "/v1/cart/items", {"item_id": item["id"], "quantity": 1}, token)
        order = call("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, token)["order"]
        found.setdefault("order_id", []).append(order["id"])
        found.setdefault("payment_id", []).extend(payment["id"] for payment in order["payments"])
        other = call("GET", "/v1/catalog/items/data-science")
        cart = call("POST", "/v1/cart/items", {"item_id": other["id"], "quantity": 1}, token)
        found.setdefault("line_id", []).extend(line["id"] for line in cart["lines"])
    found["promotion_id"] = [row["id"] for row in call("GET", "/v1/promotions")["data"]]
    found["affiliate_id"] = [call("POST", "/v1/affiliates", {"code": "fuzz", "payee_ref": "lms:102"})["id"]]
    found["endpoint_id"] = [row["id"] for row in call("GET", "/v1/webhook-endpoints")["data"]]
    return found


def cases(operation: APIOperation) -> st.SearchStrategy[Case]:
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    can_be_wrong = operation.body or operation.query or operation.path_parameters
    if not can_be_wrong:
        return good
    return good | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def negated(case: Case) -> set[ParameterLocation]:
    """The parts of the request that were made wrong on purpose."""
    found = {} if case.meta is None else case.meta.components
    return {place for place, part in found.items() if part.mode is GenerationMode.NEGATIVE}


def fuzz(operation: APIOperation, base_url: str, tokens: list[str | None], ids: Ids) -> None:
    session = requests.Session()
    session.trust_env = False
    asked: set[str] = set()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        backend="fresh",
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases(operation), token=st.sampled_from(tokens), chance=st.integers(0, 2**32).map(random.Random)
    )
    def run(case: Case, token: str | None, chance: random.Random) -> None:
        for name in case.path_parameters or {}:
            if name in ids and chance.random() < 0.7:
                case.path_parameters[name] = chance.choice(ids[name])
        request = str((case.path_parameters, case.query, case.headers, case.cookies, case.body, token))
        if case.method == "GET" and request in asked:
            return  # asked again, a read shows nothing new
        asked.add(request)
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if ParameterLocation.HEADER in negated(case):  # wrong headers stay as they were made
            headers = {}
        answer = case.call_and_validate(
            base_url=base_url, session=session, headers=headers, excluded_checks=EXCLUDED, timeout=60
        )
        check_codes(case, answer)

    run()


def check_codes(case: Case, answer: Response) -> None:
    """A problem's code must be one that the document names for this operation and status."""
    if answer.status_code < 400 or answer.status_code == 405:
        return
    documented = case.operation.definition.raw["responses"][str(answer.status_code)]["content"]
    named = documented["application/problem+json"]["examples"]
    code = answer.json()["code"]
    assert code in named, (
        f"{case.operation.label}: {answer.status_code} {code} is not documented: {answer.text}"
    )


@pytest.mark.timeout(3 * 3600)
def test_no_answer_is_unknown_and_none_is_5xx(
    product: RunningStack, document: dict[str, Any], tokens: list[str | None], ids: Ids
) -> None:
    operations = [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) > 80
    print(f"FUZZ_SEED={SEED} FUZZ_EXAMPLES={EXAMPLES}: {len(operations)} operations")
    wrong: list[str] = []
    for operation in operations:
        try:
            fuzz(operation, product.urls.gateway, tokens, ids)
        except (FailureGroup, AssertionError) as failure:
            wrong.append(f"{operation.label}: {failure}")
    assert not wrong, "\n\n".join([f"FUZZ_SEED={SEED}", *wrong])
