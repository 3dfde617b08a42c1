"""On narrow terminals names can be read and no figure is cut: figures give way, the least important ones first."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from obswarm.cli.display import LiveDisplay
from obswarm.cli.main import cli
from obswarm.cli.plain import progress_line
from obswarm.cli.runs_show import _endpoints as endpoints_of_record
from obswarm.cli.summary import print_summary
from obswarm.cli.tables import columns_that_fit, lines_of, metrics_table, texts_table
from obswarm.cli.text_console import TextConsole
from obswarm.cli.window import RecentIntervals
from obswarm.engine import RunResult
from obswarm.record import RunMetadata, RunRecord
from obswarm.report import result_document
from obswarm.stats import PHASES, EndpointKey, EndpointStats, TimingStats
from obswarm.store import RunWriter
from obswarm.units import format_latency
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
    assert f" GET {NAME} " in shown
    assert max(map(len, shown.splitlines())) <= width
    print_summary(console, result)
    tables = stream.getvalue().removeprefix(shown)
    # Endpoints, phases, errors.
    assert tables.count(f"GET {NAME} ") == 2
    assert f"{NAME} {NAME}" in tables
    assert "2,000 (100.0%)" in tables
    assert max(map(len, tables.splitlines())) <= width
    headings = ("requests", "req/s", "p95") if width == 80 else ("requests", "req/s", "p50", "p95", "p99")
    assert all(heading in tables for heading in headings)
    assert bool(re.search("mean *\n", tables)) == (width == 160)


@pytest.mark.parametrize("width", [40, 60, 80, 119, 120, 200])
def test_no_figure_of_the_summary_is_cut_at_any_width(width: int) -> None:
    stream = io.StringIO()
    result = busy_result()
    print_summary(TextConsole(stream, width=width), result)
    shown = stream.getvalue()
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert all(format_latency(value) in shown for value in result.final.total.quantiles((0.5, 0.95)) or ())
    # At the least in the table of endpoints, and for their sum.
    assert shown.count("2,000 (100.0%)") >= 2


@pytest.mark.parametrize("width", [20, 24, 30, 40])
def test_no_figure_of_the_display_is_cut_at_any_width(width: int) -> None:
    stream, result = io.StringIO(), busy_result()
    display = LiveDisplay(TextConsole(stream, width=width, height=50))
    display._recent.add(result.final)
    TextConsole(stream, width=width, height=50).print(display._figures(result.final))
    shown = stream.getvalue()
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    p95 = display._recent.total().quantiles((0.95,))[0]
    assert all(text in shown for text in ("2 of 1", format_latency(p95)))


@given(
    st.integers(40, 200),
    st.lists(
        st.tuples(
            st.text("abc/ ", min_size=1, max_size=60).map(str.strip).filter(bool),
            st.tuples(*[st.text("0123456789", min_size=1, max_size=12).map("{} ms".format)] * 3),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_names_and_the_most_important_figures_are_whole(width: int, rows: list[tuple[str, tuple[str, ...]]]) -> None:
    stream = io.StringIO()
    TextConsole(stream, width=width).print(metrics_table(width, "name", HEADINGS, rows, ("p50", "failures")))
    shown = stream.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    letters = "".join(re.findall("[abc/]", "".join(cut(shown))))
    assert all(cells[0] in shown for _, cells in rows)
    assert letters == "".join(name.replace(" ", "") for name, _ in rows)


def cut(shown: str) -> list[str]:
    """The lines without their headings and units."""
    return [re.sub(r"requests|failures|name|p50|\d+ ms", "", line) for line in shown.splitlines()]


@pytest.mark.parametrize("width", [40, 41, 60, 80, 120])
def test_the_id_of_a_run_can_be_copied_from_the_list(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obswarm.cli.text_console.WIDTH_WITHOUT_TERMINAL", width)
    writer = RunWriter(tmp_path / "runs.sqlite", RunMetadata("1", {}))
    result = busy_result()
    final = replace(result.final, test="a-test-with-a-very-long-name-indeed.py")
    writer.snapshot(final)
    writer.finish(final, 2.0, result_document(replace(result, final=final)))
    writer.close()
    listed = CliRunner().invoke(cli, ["runs", "list", "--store", str(tmp_path)], catch_exceptions=False)
    assert re.search(rf"^ {result.run_id} ", listed.stdout, re.MULTILINE)
    assert max(map(len, listed.stdout.splitlines())) <= width
    assert "…" not in listed.stdout


@pytest.mark.parametrize(("width", "has_charts", "percentiles"), [(80, False, 2), (120, True, 4), (200, True, 5)])
def test_the_live_display_uses_the_room(width: int, has_charts: bool, percentiles: int) -> None:
    result = busy_result()
    stream = io.StringIO()
    console = TextConsole(stream, width=width, height=40)
    display = LiveDisplay(console)
    for _ in range(3):
        display._recent.add(result.final)
        display._p95.append(0.0291)
        display._rps.append(200.0)
    console.print(display.render(result.final))
    shown = stream.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    heading = next(line for line in shown.splitlines() if " endpoint " in line)
    assert len(re.findall(r"\bp\d+", heading)) >= percentiles
    assert ("p95 by second, last 3s" in shown) == has_charts
    assert ("30.0 ms ┤" in shown) == has_charts
    assert ("███ p95, up to 29.1 ms" in shown) == (not has_charts)


def test_names_are_whole_in_a_kept_run() -> None:
    result = busy_result()

    class Record:
        endpoints = result.final.endpoints
        load_s = 10.0

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
    stored = columns_that_fit(width, names, HEADINGS, rows, ("p50", "failures"))
    assert stored in ([0, 1, 2], [0, 1], [0])
    assert columns_that_fit(1000, names, HEADINGS, rows, ("p50", "failures")) == [0, 1, 2]
    assert len(columns_that_fit(width + 20, names, HEADINGS, rows, ("p50", "failures"))) >= len(stored)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_texts_beside_each_other_are_whole(width: int) -> None:
    stream = io.StringIO()
    rows = [("web", "memory available", "21 GiB", 'sum(node_memory_MemAvailable_bytes{job="node"})')] * 2
    table = texts_table(width, ("target", "figure", "now", "promql(…)"), rows, right=("now",))
    TextConsole(stream, width=width).print(table)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert sum("21 GiB" in line for line in lines) == 2
    assert sum("web" in line for line in lines) == 2


def test_a_name_is_cut_where_it_can_be() -> None:
    assert lines_of("GET /contests/[contest]/scoreboard", 28) == ["GET /contests/[contest]", "/scoreboard"]
    assert lines_of("POST /a", 28) == ["POST /a"]
    assert lines_of("the name of a thing", 8) == ["the name", "of a", "thing"]


class Terminal(TextConsole):
    is_terminal = True


def test_a_window_that_becomes_narrower_leaves_nothing_of_the_picture_before() -> None:
    snapshot = busy_result().final
    stream = io.StringIO()
    console = Terminal(stream, width=120, height=40)
    display = LiveDisplay(console)
    display._live.start()
    try:
        display.snapshot(snapshot)
        lines = len(console.render_lines(display.render(snapshot), pad=False))
        stream.truncate(0)
        display.snapshot(snapshot)
        assert stream.getvalue().count("\x1b[1A") == lines - 1
        # The terminal has folded each of them once.
        console.width = 60
        stream.truncate(0)
        display.snapshot(snapshot)
        assert stream.getvalue().count("\x1b[1A") == 2 * lines - 1
    finally:
        display.close()


def test_a_line_of_progress_fits_80_columns() -> None:
    recent = RecentIntervals()
    snapshot = replace(busy_result().final, workers=(), in_flight={})
    recent.add(snapshot)
    whole, short = progress_line(snapshot, recent), progress_line(snapshot, recent, 80)
    assert len(short) <= 80 < len(whole)
    assert "p95 29.0 ms" in whole
    assert "p95 29.0 ms" in short
