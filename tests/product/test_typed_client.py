"""A typed Python client made from the document by a foreign generator buys a course: the document is good."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from devstack.shopper import PASSWORD, wait_for
from devstack.stripe_standin.control import StripeControl
from tests.harness.product import RunningStack

NAME = "commerce_client"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def client_folder(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yml").write_text(
        f"package_name_override: {NAME}\npost_hooks: []\ncontent_type_overrides:\n"
        "  application/pdf: application/octet-stream\n  text/csv: application/octet-stream\n"
    )
    done = subprocess.run(
        [
            *(BIN / "openapi-python-client", "generate", "--path", "openapi.json", "--config", "config.yml"),
            *("--meta", "none", "--fail-on-warning", "--output-path", str(folder / NAME)),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def test_the_client_is_typed(client_folder: Path) -> None:
    (client_folder / "uses.py").write_text(
        f"from {NAME} import AuthenticatedClient\n"
        f"from {NAME}.api.orders import get_order\n"
        f"from {NAME}.models import OrderView, Problem\n\n\n"
        "def status(client: AuthenticatedClient, order_id: str) -> str:\n"
        "    found = get_order.sync(order_id, client=client)\n"
        "    if isinstance(found, OrderView):\n"
        "        return found.status\n"
        "    return found.code if isinstance(found, Problem) else ''\n"
    )
    done = subprocess.run(
        [
            str(BIN / "mypy"),
            "--strict",
            "--follow-imports=silent",
            "--cache-dir",
            str(client_folder / "mypy"),
            "uses.py",
        ],
        cwd=client_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_client_buys_a_course(client_folder: Path, stack: RunningStack) -> None:
    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{NAME}.{name}")

    models: Any = module("models")
    client_types: Any = module("client")
    url = stack.urls.gateway
    session = await module("api.auth.register").asyncio(
        client=client_types.Client(url),
        body=models.RegisterBody(email="typed.client@example.com", password=PASSWORD, full_name="Ty Ped"),
        idempotency_key="typed-register",
    )
    client = client_types.AuthenticatedClient(url, session.access_token, timeout=httpx.Timeout(30))
    items = await module("api.catalog.list_items").asyncio(client=client, q="Python from scratch")
    item = next(item for item in items.data if item.slug == "python-101")
    await module("api.cart.add_cart_item").asyncio(
        client=client, body=models.CartItemBody(item_id=item.id), idempotency_key="typed-cart"
    )
    address = models.BillingAddress(country="US", state="NY", postal_code="10001")
    placed = await module("api.checkout.checkout").asyncio(
        client=client, body=models.CheckoutBody(billing_address=address), idempotency_key="typed-checkout"
    )
    assert placed.order.status == "pending_payment"
    async with StripeControl(stack.urls.stripe) as stripe:
        await stripe.confirm(placed.payment.payment_intent_id, "pm_card_visa")
    read = module("api.orders.get_order")
    order = await wait_for(
        lambda: read.asyncio(placed.order.id, client=client),
        lambda found: found.status == "fulfilled",
        seconds=60,
    )
    assert order.amount_paid == placed.order.total
    missing = await read.asyncio("no-such-order", client=client)
    assert (missing.status, missing.code) == (404, "not_found")
