"""On a terminal of 80 columns names can be read: figures give way, the least important ones first."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.cli.display import LiveDisplay
from obswarm.cli.runs import _endpoints as endpoints_of_record
from obswarm.cli.summary import print_summary
from obswarm.cli.text_console import TextConsole, columns_that_fit
from obswarm.engine import RunResult
from obswarm.stats import PHASES, EndpointKey, EndpointStats, TimingStats
from obswarm.store import RunRecord
from tests.support.hostile import hostile_result

NAME = "/users/[id]/friends"
HEADINGS = ("requests", "failures", "p50")


def busy_result() -> RunResult:
    """With figures as wide as they get."""
    key = EndpointKey("GET", NAME)
    stats = EndpointStats(key)
    for number in range(2000):
        stats.record(0.01 + number / 1e5, 123_456, "5xx", True)
    stats.timings = TimingStats()
    for phase in PHASES:
        stats.timings.histograms[phase] = stats.duration.copy()
    stats.timings.counts = [stats.requests] * len(PHASES)
    stats.timings.sums_ns = [stats.duration.sum_ns] * len(PHASES)
    result = hostile_result(NAME)
    final = replace(result.final, endpoints={key: stats}, interval={key: stats}, total=stats, interval_total=stats)
    return replace(result, final=final)


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_names_are_whole_in_the_display_and_the_summary(width: int) -> None:
    result = busy_result()
    stream = io.StringIO()
    console = TextConsole(stream, width=width, height=50)
    display = LiveDisplay(console)
    display._recent.add(result.final)
    console.print(display.render(result.final))
    shown = stream.getvalue()
    assert f"  GET {NAME} " in shown
    assert max(map(len, shown.splitlines())) <= width
    print_summary(console, result)
    tables = stream.getvalue().removeprefix(shown)
    # Endpoints, phases, errors.
    assert tables.count(f"GET {NAME} ") == 2
    assert f"{NAME} {NAME}" in tables
    assert "2,000 (100.0%)" in tables
    assert max(map(len, tables.splitlines())) <= width
    headings = ("requests", "p95") if width == 80 else ("requests", "req/s", "p50", "p95", "p99")
    assert all(heading in tables for heading in headings)
    assert ("mean   " in tables or "mean \n" in tables) == (width == 160)


def test_names_are_whole_in_a_kept_run() -> None:
    result = busy_result()

    class Record:
        endpoints = result.final.endpoints
        stats_duration_s = 10.0

        def total(self) -> EndpointStats:
            return result.final.total

    record: RunRecord = Record()  # type: ignore[assignment]  # all that is asked of it
    stream = io.StringIO()
    console = TextConsole(stream, width=80)
    console.print(endpoints_of_record(record, 80))
    assert f"GET {NAME} " in stream.getvalue()


@given(
    st.integers(0, 200),
    st.lists(st.text(max_size=40), max_size=5),
    st.lists(st.tuples(*[st.text("0123456789", max_size=12)] * 3), max_size=5),
)
def test_columns_go_in_their_order_and_only_when_they_have_to(
    width: int, names: list[str], rows: list[tuple[str, str, str]]
) -> None:
    kept = columns_that_fit(width, names, HEADINGS, rows, ("p50", "failures"))
    assert kept in ([0, 1, 2], [0, 1], [0])
    assert columns_that_fit(1000, names, HEADINGS, rows, ("p50", "failures")) == [0, 1, 2]
    assert len(columns_that_fit(width + 20, names, HEADINGS, rows, ("p50", "failures"))) >= len(kept)
