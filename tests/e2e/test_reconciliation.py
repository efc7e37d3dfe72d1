"""The reconciliation of a running product: the command, and repairs that operators ask for."""

import asyncio
import json
import sys
import uuid

from devstack.shopper import wait_for
from tests.e2e.conftest import Shop


async def test_the_command_prints_what_it_compared_and_ends_well_when_nothing_differs(shop: Shop) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "reconcile", "--from", "2020-01-01", "--to", "2020-02-01", "--json"),
        env=shop.stack.env,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    found = json.loads(out)
    assert (process.returncode, found["transactions"], found["differences"]) == (0, 0, [])
    operator = await shop.operator()
    runs = (await operator.call("GET", "/v1/reconciliation/runs"))["data"]
    (run,) = [run for run in runs if run["id"] == found["run_id"]]
    assert (run["state"], run["period_to"]) == ("completed", "2020-02-01T00:00:00Z")


async def test_a_repair_that_an_operator_asks_for_closes_what_holds_by_now(shop: Shop) -> None:
    order = await shop.buy(await shop.learner())

    async def matched() -> list[dict[str, str]]:
        return await shop.query(
            "SELECT e.event_key FROM balance_match m JOIN journal_entry e ON e.id = m.entry_id "
            "WHERE e.order_id = %s",
            order["id"],
        )

    entries = await wait_for(matched, bool, what="the order's movement")
    difference_id = str(uuid.uuid4())
    await shop.query(
        "INSERT INTO reconciliation_difference (id, kind, subject, currency, expected, found, detail) "
        "VALUES (%s, 'transaction_missing', %s, 'USD', 0, 1, 'as it was an hour ago') RETURNING id",
        difference_id,
        entries[0]["event_key"],
    )
    operator = await shop.operator()
    path = f"/v1/reconciliation/differences/{difference_id}"
    await operator.call("POST", f"{path}/repair", {})
    found = await wait_for(
        lambda: operator.call("GET", path), lambda row: row["state"] != "open", what="the repair"
    )
    assert (found["state"], found["resolution"]) == ("repaired", "it holds now")
