"""Differences between processor and books as operators see them, and take them."""

import uuid
from typing import Any

from domain.reconciliation import DifferenceKind, Observation
from models.queries import differences
from tests.api.callers import Gateway


async def seen(gateway: Gateway, kind: DifferenceKind, **changes: Any) -> str:
    """An open difference; its id."""
    values: dict[str, Any] = {
        "subject": f"txn_{uuid.uuid4().hex}",
        "detail": "a movement that nobody knows",
        "currency": "USD",
        "expected": -500,
        "found": 0,
        **changes,
    }
    async with gateway.services.database.transaction() as session:
        found = await differences.see(session, Observation(kind, **values), None)
    assert found is not None
    return found.id


async def test_an_operator_finds_a_difference_by_kind_and_state_and_accepts_it_for_a_reason(
    gateway: Gateway,
) -> None:
    kind = DifferenceKind.UNKNOWN_CATEGORY
    difference_id = await seen(gateway, kind, subject="txn_reserve", transaction_id="txn_reserve")
    await seen(gateway, DifferenceKind.AMOUNT_AGED)
    found = await gateway.operator.ok("GET", "/v1/reconciliation/differences", kind=kind, state="open")
    (row,) = found["data"]
    assert (row["id"], row["provider_id"], row["expected"], row["found"]) == (
        difference_id,
        "txn_reserve",
        -500,
        0,
    )
    path = f"/v1/reconciliation/differences/{difference_id}"
    assert row["workflow_id"] == f"repair/{difference_id}"
    taken = await gateway.operator.ok("POST", f"{path}/accept", {"reason": "reserve, back in May"})
    assert (taken["state"], taken["resolution"]) == ("accepted", "reserve, back in May")
    assert taken["resolved_by"] is not None
    assert await gateway.operator.ok("GET", path) == taken

    # The same figures stay accepted; others are another matter.
    async with gateway.services.database.transaction() as session:
        same = Observation(kind, "txn_reserve", "again", "USD", -500, 0, "txn_reserve")
        assert await differences.see(session, same, None) is None
    assert await seen(gateway, kind, subject="txn_reserve", expected=-501) != difference_id


async def test_what_is_closed_is_not_repaired_or_accepted_again(gateway: Gateway) -> None:
    path = f"/v1/reconciliation/differences/{await seen(gateway, DifferenceKind.CASH_DIFFERS)}"
    await gateway.operator.ok("POST", f"{path}/accept", {"reason": "known"})
    refused = (409, "difference_closed")
    assert await gateway.operator.refused("POST", f"{path}/accept", {"reason": "twice"}) == refused
    assert await gateway.operator.refused("POST", f"{path}/repair", {}) == refused


async def test_a_reason_is_needed_and_only_operators_see_differences(gateway: Gateway) -> None:
    path = f"/v1/reconciliation/differences/{await seen(gateway, DifferenceKind.AMOUNT_DIFFERS)}"
    assert (await gateway.operator.refused("POST", f"{path}/accept", {"reason": ""}))[0] == 422
    assert (await gateway.operator.refused("POST", f"{path}/accept", {}))[0] == 422
    missing = f"/v1/reconciliation/differences/{uuid.uuid4()}"
    assert (await gateway.operator.refused("GET", missing))[0] == 404
    learner = await gateway.person("learner")
    for method, place, body in (
        ("GET", "/v1/reconciliation/differences", None),
        ("GET", "/v1/reconciliation/runs", None),
        ("POST", f"{path}/accept", {"reason": "mine"}),
        ("POST", f"{path}/repair", {}),
    ):
        assert (await learner.refused(method, place, body))[0] == 403
    assert (await gateway.operator.ok("GET", path))["state"] == "open"
