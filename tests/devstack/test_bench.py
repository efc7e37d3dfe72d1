"""`make bench` fails when events are acknowledged too slowly."""

import pytest

from devstack.bench import ACKNOWLEDGED_WITHIN_MS, EVENTS_PER_SECOND, Figures, missed_bars

INBOUND = f"inbound event acknowledged, {EVENTS_PER_SECOND} a second"


@pytest.mark.parametrize(("p99_ms", "missed"), [(249.9, 0), (250.0, 1), (1000.0, 1)])
def test_the_acknowledgement_has_a_bar(p99_ms: float, missed: int) -> None:
    rows = [Figures(INBOUND, 1, 10.0, p99_ms, 50.0), Figures("checkout request", 20, 900.0, 2000.0, 20.0)]
    assert ACKNOWLEDGED_WITHIN_MS == 250
    assert len(missed_bars(rows)) == missed
