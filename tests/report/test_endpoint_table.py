"""The cells of a row of an endpoint, in any table."""

import pytest

from obswarm.report import endpoint_table
from obswarm.report.endpoint_table import endpoint_cells
from obswarm.stats import EndpointKey, EndpointStats


@pytest.fixture
def stats() -> EndpointStats:
    made = EndpointStats(EndpointKey("GET", "/"))
    for number in range(100):
        made.record(0.001 * (number + 1), 2048, "2xx" if number else "5xx", not number)
    return made


def test_cells_stand_in_the_order_of_the_headings(stats: EndpointStats) -> None:
    cells = dict(zip(endpoint_table.FULL, endpoint_cells(stats, endpoint_table.FULL, 10.0), strict=True))
    assert cells["requests"] == "100"
    assert cells["failures"] == "1 (1.0%)"
    assert cells["req/s"] == "10"
    assert (cells["max"], cells["mean"], cells["received"]) == ("100 ms", "50.5 ms", "200 KiB")
    assert endpoint_cells(stats, ("max", "requests")) == ["100 ms", "100"]
    short = endpoint_cells(stats, endpoint_table.SHORT, 10.0)
    assert short == [cells[heading] for heading in endpoint_table.SHORT]


def test_an_endpoint_without_requests_has_no_latencies() -> None:
    cells = endpoint_cells(EndpointStats(EndpointKey("GET", "/")), endpoint_table.FULL)
    assert cells == ["0", "0", "0", "–", "–", "–", "–", "–", "0 B", "–"]
