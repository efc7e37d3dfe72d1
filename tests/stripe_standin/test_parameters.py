"""What is refused at the door; the parameter table; versions; the SDK's own parameter types."""

import json
from typing import Any

import httpx
import pytest
import stripe
import stripe.params

from devstack.stripe_standin.generate import TABLE, make_table
from devstack.stripe_standin.parameters import Parameters
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.oracles import SUBSET, check_schema
from tests.stripe_standin.process import Standin

INTENT = {"amount": "2000", "currency": "usd"}
REFUSALS: list[tuple[dict[str, str], str | None, str]] = [
    ({"currency": "usd"}, "parameter_missing", "amount"),
    ({"amount": "2000"}, "parameter_missing", "currency"),
    ({**INTENT, "amount": "20.5"}, "parameter_invalid_integer", "amount"),
    ({**INTENT, "amount": "many"}, "parameter_invalid_integer", "amount"),
    ({**INTENT, "amount": "-5"}, "parameter_invalid_integer", "amount"),
    ({**INTENT, "amount": ""}, "parameter_invalid_empty", "amount"),
    ({**INTENT, "amount[x]": "1"}, None, "amount[x]"),
    ({**INTENT, "colour": "red"}, "parameter_unknown", "colour"),
    (
        {**INTENT, "automatic_payment_methods[on]": "true"},
        "parameter_unknown",
        "automatic_payment_methods[on]",
    ),
    ({**INTENT, "automatic_payment_methods[enabled]": "yes"}, None, "automatic_payment_methods[enabled]"),
    ({**INTENT, "automatic_payment_methods": "true"}, None, "automatic_payment_methods"),
    (
        {**INTENT, "payment_method_types[0]": "card"},
        "payment_method_types_no_longer_supported",
        "payment_method_types",
    ),
    ({**INTENT, "capture_method": "never"}, None, "capture_method"),
    ({**INTENT, "currency": "xyz"}, None, "currency"),
    ({**INTENT, "description": ""}, "parameter_invalid_empty", "description"),
    ({**INTENT, "expand": "latest_charge"}, None, "expand"),
    ({**INTENT, "metadata[a][b]": "1"}, None, "metadata[a]"),
    ({**INTENT, "metadata[" + "k" * 41 + "]": "1"}, None, "metadata[" + "k" * 41 + "]"),
    ({**INTENT, "metadata[k]": "v" * 501}, None, "metadata[k]"),
    ({**INTENT, **{f"metadata[k{n}]": "v" for n in range(51)}}, None, "metadata"),
    ({**INTENT, "customer": "cus_nobody"}, "resource_missing", "customer"),
    ({**INTENT, "off_session": "true"}, None, "off_session"),
    ({**INTENT, "amount_details[tip][amount][x": "1"}, None, "amount_details[tip][amount][x"),
]


@pytest.fixture
async def http(standin: Standin) -> Any:
    headers = {"authorization": "Bearer sk_test_raw"}
    async with httpx.AsyncClient(base_url=standin.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(("form", "code", "param"), REFUSALS)
async def test_bad_parameters_are_refused_as_stripe_does(
    http: httpx.AsyncClient, form: dict[str, str], code: str | None, param: str
) -> None:
    answer = await http.post("/v1/payment_intents", data=form)
    body = answer.json()
    check_schema("error", body)
    error = body["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error.get("param")) == (code, param)
    assert error["request_log_url"].endswith(answer.headers["request-id"])
    assert ("doc_url" in error) == (code is not None)


async def test_brackets_of_every_kind_are_read(http: httpx.AsyncClient) -> None:
    form = (
        "amount=2000&currency=USD&expand[]=latest_charge&expand[]=customer&metadata[a]=1&metadata[b b]=%C3%A9"
    )
    answer = await http.post(
        "/v1/payment_intents", content=form, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.json()["metadata"] == {"a": "1", "b b": "é"}
    assert answer.json()["currency"] == "usd"
    listed = await http.get("/v1/payment_intents?created[gte]=1&created[lt]=2&limit=3")
    assert listed.json()["data"] == []


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer sk_live_x", 401),
        ("Bearer pk_live_x", 401),
        ("Bearer sk_test_", 401),
        ("Basic !!", 401),
    ],
)
def test_a_wrong_or_missing_key_is_401(standin: Standin, header: str | None, status: int) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = httpx.get(f"{standin.url}/v1/charges", headers=headers, trust_env=False)
    assert answer.status_code == status
    check_schema("error", answer.json())
    assert answer.headers["request-id"]
    assert httpx.get(f"{standin.url}/v1/charges", auth=("sk_test_a", ""), trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/nothing"), ("DELETE", "/v1/charges"), ("POST", "/v1/events")]
)
async def test_unknown_addresses_are_404(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 404
    assert f"{method}: {path}" in answer.json()["error"]["message"]


async def test_the_sdk_cannot_write_payment_method_types(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.intent(payment_method_types=["card"])
    assert caught.value.code == "payment_method_types_no_longer_supported"
    allowed = await api.intent(allowed_payment_method_types=["card"])
    assert (allowed.allowed_payment_method_types, allowed.payment_method_types) == (["card"], ["card"])
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.pay(allowed, "pm_usBankAccount_success")
    assert caught.value.code == "payment_intent_incompatible_payment_method"


def test_the_sdk_speaks_the_version_of_the_subset_and_of_the_table() -> None:
    assert stripe.api_version == SUBSET["info"]["version"] == Parameters().version


def test_the_table_is_what_the_script_makes_of_the_subset() -> None:
    assert json.loads(TABLE.read_text()) == make_table(SUBSET)


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("POST /v1/payment_intents", "PaymentIntentCreateParams"),
        ("POST /v1/payment_intents/{id}/confirm", "PaymentIntentConfirmParams"),
        ("POST /v1/refunds", "RefundCreateParams"),
        ("POST /v1/disputes/{id}", "DisputeUpdateParams"),
        ("POST /v1/customers", "CustomerCreateParams"),
        ("GET /v1/payment_intents", "PaymentIntentListParams"),
        ("GET /v1/events", "EventListParams"),
        ("POST /v1/webhook_endpoints", "WebhookEndpointCreateParams"),
    ],
)
def test_the_sdks_parameter_types_name_the_same_parameters(operation: str, name: str) -> None:
    ours = json.loads(TABLE.read_text())["types"][name]["object"]
    typed = getattr(stripe.params, name)
    # The client services take the options of a request among the parameters' own.
    options = stripe.RequestOptions.__annotations__.keys()
    assert ours.keys() == typed.__annotations__.keys() - options
    assert Parameters().operations[operation] == name
