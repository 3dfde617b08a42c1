"""The tables and lines of the live display, each from a snapshot."""

import re

from rich.console import Group, RenderableType
from rich.text import Text

from obswarm.cli.display_lines import OLD_S
from obswarm.cli.tables import fitting_columns, stacked
from obswarm.cli.text_console import TextTable, joined, plain
from obswarm.cli.window import RecentIntervals
from obswarm.record import DATA_RATIO_OVER_S, GuardState, GuardView, Snapshot
from obswarm.report.custom_table import custom_line, custom_title
from obswarm.report.endpoint_table import endpoint_cells
from obswarm.stats import EndpointStats, InFlight
from obswarm.units import format_bytes, format_count, format_duration, format_latency

ENDPOINT_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
MOST_ERRORS = 5
MOST_GUARDS = 6
MOST_CUSTOM = 5
_HEADINGS = (
    "requests",
    "failures",
    "req/s",
    "mean",
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "max",
    "received/s",
    "in flight",
)
_FAILURES = _HEADINGS.index("failures")
_LEAST_FIRST = ("received/s", "mean", "p99.9", "max", "p90", "p99", "requests", "in flight", "p50")
"""The order in which columns are omitted if names need their space."""

_GAP_AT_THE_END = 2
"""Columns at the right that a table without edges leaves empty."""

_GUARD_STYLES = {
    GuardState.OK: "green",
    GuardState.PENDING: "yellow",
    GuardState.TRIPPED: "bold red",
    GuardState.NO_DATA: "bold magenta",
}


_ADDRESS = re.compile(r" at https?://\S+")


def endpoints_table(snapshot: Snapshot, recent_intervals: RecentIntervals, width: int, room: int) -> RenderableType:
    """Return the busiest endpoints, at most `room` of them, in `width` columns."""
    waiting = {key: EndpointStats(key) for key in snapshot.in_flight if key not in snapshot.endpoints}
    busiest = sorted({**snapshot.endpoints, **waiting}.items(), key=lambda item: -item[1].requests)
    rows: list[tuple[str, list[Text]]] = []
    for key, stats in busiest[:room]:
        recent = recent_intervals.endpoint(key)
        quantiles = recent.quantiles(ENDPOINT_QUANTILES) or (None,) * len(ENDPOINT_QUANTILES)
        latencies = (recent.duration.mean_s, *quantiles, recent.max_s)
        cells = [
            *endpoint_cells(stats, ("requests", "failures")),
            format_count(recent_intervals.rate(recent.requests)),
            *map(format_latency, latencies),
            format_bytes(recent_intervals.rate(recent.response_bytes)),
            _waiting(snapshot.in_flight.get(key)),
        ]
        style = "red" if recent.failures else ""
        rows.append((key.label, [plain(text, style if n == _FAILURES else "") for n, text in enumerate(cells)]))
    heading = f"endpoint (last {format_duration(round(recent_intervals.seconds))})"
    kept = fitting_columns(width + _GAP_AT_THE_END, heading, _HEADINGS, rows, _LEAST_FIRST)
    more = plain(f"… and {len(busiest) - room} more", "dim")
    if kept is None:
        narrow = stacked(width, _HEADINGS, rows[: max(1, room // 3)], _LEAST_FIRST)
        return Group(narrow, more) if len(busiest) > room else narrow
    table = TextTable(expand=True, box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(heading, ratio=1, no_wrap=True)
    for place in kept:
        table.add_column(_HEADINGS[place], justify="right", no_wrap=True)
    for name, texts in rows:
        table.add_row(name, *(texts[place] for place in kept))
    if len(busiest) > room:
        table.add_row(more)
    return table


def errors_table(snapshot: Snapshot) -> RenderableType:
    """Return the most frequent errors."""
    table = TextTable.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, style="red")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    most = sorted(snapshot.errors.items(), key=lambda item: -item[1].count)
    for key, seen in most[:MOST_ERRORS]:
        table.add_row(f"{seen.count:,} ×", f"{key.method} {key.name}: {key.message}")
    return table


def _cause(guard: GuardView) -> str:
    """Return the reason for missing data, without the URL, for which there is no room; the summary contains it."""
    return _ADDRESS.sub("", guard.no_data_reason)


def guards_table(snapshot: Snapshot) -> RenderableType:
    """Return the state of each guard."""
    table = TextTable.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for guard in snapshot.guards[:MOST_GUARDS]:
        text = joined((guard.title, "bold"), f" → {guard.action}")
        if guard.lacks_recent_data:
            over_s = min(guard.watched_s, DATA_RATIO_OVER_S)
            text.append_text(
                plain(f"   values for {guard.data_ratio:.0%} of the last {format_duration(round(over_s))}", "magenta")
            )
        if guard.state is GuardState.NO_DATA or guard.lacks_recent_data:
            text.append_text(plain(f"   {_cause(guard)}", "magenta"))
        table.add_row(plain(f"guard {guard.state.label:<7}", _GUARD_STYLES[guard.state]), guard.shown, text)
    if len(snapshot.guards) > MOST_GUARDS:
        table.add_row("", "", plain(f"… and {len(snapshot.guards) - MOST_GUARDS} more guards", "dim"))
    return table


def custom_table(snapshot: Snapshot) -> RenderableType:
    """Return the first few of the load test's own metrics, over the whole run."""
    table = TextTable.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    every = sorted(snapshot.custom.items())
    for key, stats in every[:MOST_CUSTOM]:
        table.add_row(plain(custom_title(key)), plain(custom_line(key, stats, snapshot.load_s), "bold"))
    if len(every) > MOST_CUSTOM:
        table.add_row(plain(f"… and {len(every) - MOST_CUSTOM} more metrics", "dim"), "")
    return table


def _waiting(in_flight: InFlight | None) -> str:
    """Return the number of an endpoint's requests in flight, and the age of the oldest from OLD_S on."""
    if in_flight is None:
        return "0"
    age = f" ({format_latency(in_flight.oldest_s)})" if in_flight.oldest_s >= OLD_S else ""
    return f"{in_flight.count:,}{age}"
