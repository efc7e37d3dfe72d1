"""Lists, cursors, filters, expansion, and the smaller objects."""

import httpx
import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Standin


async def test_pages_forward_and_backward(api: Api) -> None:
    customer = await api.v1.customers.create_async({"name": "Ada"})
    made = [(await api.intent(customer=customer.id)).id for _ in range(5)]
    newest = list(reversed(made))
    list_page = api.v1.payment_intents.list_async
    first = await list_page({"customer": customer.id, "limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (newest[:2], True)
    second = await list_page({"customer": customer.id, "limit": 2, "starting_after": newest[1]})
    assert [one.id for one in second.data] == newest[2:4]
    last = await list_page({"customer": customer.id, "limit": 2, "starting_after": newest[3]})
    assert ([one.id for one in last.data], last.has_more) == (newest[4:], False)
    back = await list_page({"customer": customer.id, "limit": 2, "ending_before": newest[3]})
    assert ([one.id for one in back.data], back.has_more) == (newest[1:3], True)
    every = [one.id async for one in first.auto_paging_iter()]
    assert every == newest


async def test_filters_by_time(api: Api, control: StripeControl) -> None:
    await control.set_clock_offset(-3600)
    old = await api.intent()
    await control.set_clock_offset(0)
    new = await api.intent()
    since = await api.v1.payment_intents.list_async({"created": {"gte": new.created}, "limit": 100})
    ids = {one.id for one in since.data}
    assert new.id in ids
    assert old.id not in ids
    exact = await api.v1.payment_intents.list_async({"created": old.created, "limit": 100})
    assert old.id in {one.id for one in exact.data}


@pytest.mark.parametrize(("limit", "cursor"), [(0, {}), (101, {}), (10, {"starting_after": "pi_nobody"})])
async def test_bad_pages_are_refused(api: Api, limit: int, cursor: dict[str, str]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await api.v1.payment_intents.list_async({"limit": limit, **cursor})  # type: ignore[typeddict-item]


async def test_events_by_type_and_not_older_than_thirty_days(api: Api, control: StripeControl) -> None:
    await control.set_clock_offset(-31 * 86400)
    old = await api.intent()
    await control.set_clock_offset(0)
    paid = await api.paid()
    by_type = (await api.v1.events.list_async({"type": "payment_intent.succeeded", "limit": 1})).data
    assert by_type[0].data.object["id"] == paid.id
    several = (
        await api.v1.events.list_async({"types": ["charge.succeeded", "refund.created"], "limit": 1})
    ).data
    assert several[0].data.object["id"] == paid.latest_charge
    pattern = (await api.v1.events.list_async({"type": "charge.*", "limit": 20})).data
    assert {event.type.split(".")[0] for event in pattern} == {"charge"}
    assert old.id not in [
        event.data.object["id"] for event in (await api.v1.events.list_async({"limit": 100})).data
    ]


async def test_expansion_of_objects_and_lists(api: Api) -> None:
    paid = await api.paid()
    refund = await api.v1.refunds.create_async(
        {"payment_intent": paid.id, "amount": 5, "expand": ["charge.balance_transaction"]}
    )
    assert refund.charge.balance_transaction.reporting_category == "charge"  # type: ignore[union-attr]
    listed = await api.v1.payment_intents.list_async(
        {"limit": 1, "expand": ["data.latest_charge.payment_intent"]}
    )
    assert listed.data[0].latest_charge.payment_intent.id == paid.id  # type: ignore[union-attr]
    charge = await api.v1.charges.retrieve_async(str(paid.latest_charge), {"expand": ["refunds"]})
    assert charge.refunds is not None
    assert [one.id for one in charge.refunds.data] == [refund.id]
    movement = await api.v1.balance_transactions.retrieve_async(
        str(refund.balance_transaction), {"expand": ["source.payment_intent"]}
    )
    assert movement.source.payment_intent.id == paid.id  # type: ignore[union-attr]
    unpaid = await api.intent()
    empty = await api.v1.payment_intents.retrieve_async(
        unpaid.id, {"expand": ["latest_charge.balance_transaction"]}
    )
    assert empty.latest_charge is None


async def test_what_cannot_be_expanded_is_refused_and_does_nothing(api: Api) -> None:
    before = (await api.v1.payment_intents.list_async({"limit": 1})).data
    for path in ("amount", "foo", "latest_charge.a.b.c.d"):
        with pytest.raises(stripe.InvalidRequestError):
            await api.intent(expand=[path])
    after = (await api.v1.payment_intents.list_async({"limit": 1})).data
    assert [one.id for one in before] == [one.id for one in after]


async def test_customers(api: Api) -> None:
    made = await api.v1.customers.create_async(
        {"email": "ada@example.com", "name": "Ada", "metadata": {"user": "1"}, "address": {"country": "GB"}}
    )
    changed = await api.v1.customers.update_async(made.id, {"name": "Ada L."})
    assert (changed.name, changed.email) == ("Ada L.", "ada@example.com")
    assert changed.address is not None
    assert changed.address.country == "GB"
    found = (await api.v1.customers.list_async({"email": "ada@example.com", "limit": 100})).data
    assert made.id in {one.id for one in found}
    events = (await api.v1.events.list_async({"type": "customer.updated", "limit": 1})).data
    assert events[0].data.previous_attributes.to_dict() == {"name": "Ada"}
    method = await api.v1.payment_methods.attach_async("pm_card_visa", {"customer": made.id})
    listed = (await api.v1.payment_methods.list_async({"customer": made.id})).data
    assert [one.id for one in listed] == [method.id]
    assert (await api.v1.payment_methods.detach_async(method.id)).customer is None


async def test_movements_become_available_and_add_up(api: Api, control: StripeControl) -> None:
    paid = await api.pay(await api.intent(5000, "chf"), expand=["latest_charge.balance_transaction"])
    movement = paid.latest_charge.balance_transaction  # type: ignore[union-attr]
    assert movement.status == "pending"
    pending = {one.currency: one.amount for one in (await api.v1.balance.retrieve_async()).pending}
    assert pending["chf"] == movement.net
    await control.advance_clock(3 * 86400)
    assert (await api.v1.balance_transactions.retrieve_async(movement.id)).status == "available"
    available = {one.currency: one.amount for one in (await api.v1.balance.retrieve_async()).available}
    assert available["chf"] == movement.net
    in_francs = (await api.v1.balance_transactions.list_async({"currency": "chf"})).data
    assert [one.id for one in in_francs] == [movement.id]


@pytest.mark.parametrize(
    ("collection", "object_id"),
    [
        *(("payment_intents", "pi_x"), ("charges", "ch_x"), ("refunds", "re_x"), ("disputes", "du_x")),
        *(("customers", "cus_x"), ("events", "evt_x"), ("balance_transactions", "txn_x")),
    ],
)
async def test_nobody_is_found(api: Api, collection: str, object_id: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await getattr(api.v1, collection).retrieve_async(object_id)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_pages_for_people(api: Api, standin: Standin) -> None:
    intent = await api.intent(metadata={"order_id": "<script>"})
    await api.pay(intent, "pm_usBankAccount_processing")
    await api.paid(method="pm_card_createDispute")
    async with httpx.AsyncClient(trust_env=False, base_url=standin.url) as browser:
        for path in ("/", "/dashboard"):
            page = await browser.get(path)
            assert page.status_code == 200
            assert intent.id in page.text
            assert "<script>" not in page.text
        form = {"button": "payment_intents/{id}/settle", "id": intent.id}
        assert (await browser.post("/dashboard", data=form)).status_code == 303
        assert (await browser.post("/dashboard", data=form)).status_code == 400
        assert (await browser.get("/3ds/pi_nobody")).status_code == 400
        documented = (await browser.get("/_test/")).json()["routes"]
    assert {"method", "path", "does"} == documented[0].keys()
    assert (await api.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"
