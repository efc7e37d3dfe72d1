"""The maintenance switch: operators only, logged, within bounds."""

from datetime import UTC, datetime, timedelta

from tests.api.callers import Gateway

PATH = "/v1/lms/maintenance"


async def test_an_operator_switches_it_on_and_off_and_it_is_logged(gateway: Gateway) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    on = await gateway.operator.ok("PUT", PATH, {"reason": "Moodle 5.2", "until": until.isoformat()})
    assert (on["active"], on["reason"], on["set_by"]) == (True, "Moodle 5.2", gateway.operator.user_id)
    assert datetime.fromisoformat(on["until"]) == until
    assert await gateway.operator.ok("GET", PATH) == on
    (entry,) = (await gateway.operator.ok("GET", "/v1/audit", action="set_lms_maintenance"))["data"]
    assert (entry["reason"], entry["status_code"]) == ("Moodle 5.2", 200)
    off = await gateway.operator.ok("DELETE", PATH)
    assert off["active"] is False


async def test_it_ends_within_two_weeks(gateway: Gateway) -> None:
    for days in (-1, 15):
        until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        body = {"reason": "too long", "until": until}
        assert await gateway.operator.refused("PUT", PATH, body) == (422, "maintenance_invalid")
    assert (await gateway.operator.ok("GET", PATH))["active"] is False
