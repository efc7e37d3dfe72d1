"""The cart changed between the calculation of its tax and the making of its order."""

from typing import Any, cast

import pytest
from temporalio.client import Client

from activities.boundary import Transactions
from activities.placement import PlacementActivities
from devstack.seed import seed
from domain.messages import OrderInput
from domain.tax import TaxAmount
from domain.taxation import StatedTax, TaxDecision, TaxProvider
from integrations.dispatch import Dispatcher
from models.database import Database
from models.queries import carts, catalog, order_lines, orders, people, recorded_commands

ADDRESS = {"country": "DE"}


@pytest.fixture(scope="module")
async def store(database_url: str) -> Any:
    await seed(database_url)
    found = Database(database_url, pool_size=2)
    yield found
    await found.aclose()


async def place(store: Database, name: str, taxable: int, tax: int) -> tuple[str, Any]:
    """Place an order of a course at 99 dollars whose tax was calculated for `taxable`."""
    async with store.transaction() as session:
        user = await people.remember(
            session, lms_user_id=name, username=name, email=None, full_name="Ann", roles=["learner"]
        )
        cart = await carts.open_cart(session, user.id, lock=True)
        item = await catalog.find(session, "python-101")
        assert item is not None
        line_id, order_id = await orders.new_id(session), await orders.new_id(session)
        await carts.add_line(session, cart.id, line_id, item.id, "USD")
        decision = TaxDecision(
            TaxProvider.STRIPE,
            calculation_id="taxcalc_1",
            stated=(StatedTax(line_id, taxable, (TaxAmount("DE", 190_000, tax),)),),
        )
        body = {"cart_id": cart.id, "billing_address": ADDRESS, "tax": decision.to_dict()}
        await recorded_commands.record(session, order_id, "checkout", user.id, body)
    activities = PlacementActivities(
        Transactions(store, Dispatcher(cast(Client, None), "none")),  # nobody is woken here
        payment_window_seconds=60,
        refund_window_days=14,
        hold_seconds=0,
    )
    return order_id, await activities.place_order(OrderInput(order_id))


async def test_tax_for_another_amount_makes_no_order(store: Database) -> None:
    order_id, placement = await place(store, "late", 9800, 1862)
    assert placement.state is None
    assert (placement.refusal.code, placement.refusal.conflict) == ("price_changed", True)
    assert placement.refusal.members["quote"]["subtotal"] == {"amount": 9900, "currency": "USD"}
    async with store.transaction() as session:
        assert await orders.get(session, order_id) is None


async def test_tax_for_this_amount_is_the_orders(store: Database) -> None:
    order_id, placement = await place(store, "in time", 9900, 1882)  # a cent more than by our rate
    assert placement.refusal is None
    async with store.transaction() as session:
        row = await orders.get(session, order_id)
        (line,) = await order_lines.of_order(session, order_id)
    assert row is not None
    assert (row.total, line.tax, row.taxation.calculation_id) == (11_782, 1882, "taxcalc_1")
