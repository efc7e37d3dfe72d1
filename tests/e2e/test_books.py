"""The ledger's chain in the whole product: sealed by its Schedule, checked by `commerce verify`."""

from temporalio.client import Client

from activities.seals import Anchor
from commands.live_system import verify_with
from devstack.shopper import wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import settings_of


async def test_what_is_sold_is_sealed_by_the_schedule_and_verified(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    path = f"/v1/ledger/journals?order_id={order['id']}"
    client = await Client.connect(shop.stack.urls.temporal, namespace=shop.stack.env["TEMPORAL_NAMESPACE"])

    async def sealed() -> list[int | None]:
        await client.get_schedule_handle("ledger-seal").trigger()
        return [entry["position"] for entry in (await operator.call("GET", path))["data"]]

    positions = await wait_for(sealed, lambda found: bool(found) and None not in found)
    assert len(set(positions)) == len(positions)
    report = await verify_with(settings_of(shop.stack))
    (chain,) = [finding for finding in report.findings if finding.name == "ledger.hash_chain"]
    assert chain.violations == []
    block, _, digest = report.ledger_head.partition(":")
    remembered = Anchor(int(block), digest)
    again = await verify_with(settings_of(shop.stack), anchor=remembered)
    assert [f.violations for f in again.findings if f.name == "ledger.hash_chain"] == [[]]
    forged = await verify_with(settings_of(shop.stack), anchor=Anchor(remembered.block, "0" * 64))
    assert [len(f.violations) for f in forged.findings if f.name == "ledger.hash_chain"] == [1]
