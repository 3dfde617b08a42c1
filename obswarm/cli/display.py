"""The live display in a terminal."""

import math
from collections import deque

from rich.console import Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment

from obswarm.cli.charts import chart_room, line_chart, sparkline
from obswarm.cli.display_lines import classes_text, health_line, in_flight_texts, iteration_rows
from obswarm.cli.display_tables import (
    ENDPOINT_QUANTILES,
    MOST_CUSTOM,
    MOST_ERRORS,
    MOST_GUARDS,
    custom_table,
    endpoints_table,
    errors_table,
    guards_table,
)
from obswarm.cli.plain import users_text
from obswarm.cli.text_console import TextConsole, TextTable, joined, panel, plain
from obswarm.cli.window import RecentIntervals
from obswarm.engine import Output, RunHandle, RunResult
from obswarm.record import RunState, Snapshot
from obswarm.units import format_count, format_duration, format_latency

_STATE_STYLES = {
    RunState.READY: "white",
    RunState.SPAWNING: "cyan",
    RunState.RUNNING: "green",
    RunState.HOLDING: "yellow",
    RunState.STOPPING: "yellow",
    RunState.STOPPED: "bold",
}
_BORDERS = 4
_LINES_AROUND_THE_TABLE = 15

_CHARTS_FROM = (110, 30)
"""Minimum columns and lines of a terminal for charts with a scale instead of rows of bars."""

_THREE_CHARTS_FROM = 160
_BARS_FROM = 70
_CHART_HEIGHT = 5
_LINES_OF_CHARTS = 4
"""Additional lines that charts take, compared with rows of bars."""

_LABEL_WIDTH = 8
_MOST_INTERVALS = 1000


class LiveDisplay(Output):
    """Redraws the state of the run at every snapshot."""

    name = "The live display"
    required = False

    def __init__(self, console: TextConsole) -> None:
        self._console = console
        self._recent = RecentIntervals()
        self._rps: deque[float | None] = deque(maxlen=_MOST_INTERVALS)
        self._failures: deque[float | None] = deque(maxlen=_MOST_INTERVALS)
        self._p95: deque[float | None] = deque(maxlen=_MOST_INTERVALS)
        self._drawn: tuple[int, RenderableType] | None = None
        """Width of the terminal at the last drawing, and what was drawn."""
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def start(self, run: RunHandle) -> None:
        self._live.start()

    def finish(self, result: RunResult) -> None:
        self._live.stop()

    def close(self) -> None:
        self._live.stop()

    def snapshot(self, snapshot: Snapshot) -> None:
        self._recent.add(snapshot)
        self._rps.append(snapshot.interval_total.requests / snapshot.interval_s)
        self._failures.append(snapshot.interval_total.failures / snapshot.interval_s)
        self._p95.append(snapshot.interval_total.quantile(0.95))
        self._erase_what_wrapped()
        picture = self.render(snapshot)
        self._drawn = (self._console.width, picture)
        self._live.update(picture, refresh=True)

    def _erase_what_wrapped(self) -> None:
        """Erase the lines by which the last drawing has grown, if the terminal has become narrower and wraps it; rich
        does not know of them."""
        if self._drawn is None or self._console.width >= self._drawn[0]:
            return
        width, picture = self._drawn
        lines = self._console.render_lines(picture, self._console.options.update(width=width), pad=False)
        more = sum(math.ceil(Segment.get_line_length(line) / self._console.width) - 1 for line in lines)
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        self._console.control(Control((ControlType.ERASE_IN_LINE, 2), *(up * min(more, self._console.height))))

    def render(self, snapshot: Snapshot) -> RenderableType:
        """Return the whole display."""
        parts: list[RenderableType] = [self._progress(snapshot), self._figures(snapshot)]
        if self._has_charts:
            parts.append(self._charts())
        parts.append(endpoints_table(snapshot, self._recent, self._console.width - _BORDERS, self._room(snapshot)))
        if snapshot.custom:
            parts.append(custom_table(snapshot))
        if snapshot.errors:
            parts.append(errors_table(snapshot))
        if snapshot.guards:
            parts.append(guards_table(snapshot))
        parts.append(health_line(snapshot))
        style = _STATE_STYLES[snapshot.state]
        title = joined(
            ("obswarm ", "bold"), f"{snapshot.test} → {snapshot.host or 'no host'} ", (f" {snapshot.state} ", style)
        )
        hint = "Ctrl-C stops gracefully" if snapshot.state is not RunState.STOPPING else "Ctrl-C again stops at once"
        return panel(Group(*parts), title, plain(f"{snapshot.run_id} · {hint}"), style)

    def _progress(self, snapshot: Snapshot) -> RenderableType:
        elapsed = format_duration(round(snapshot.elapsed_s))
        if not snapshot.planned_s:
            return plain(f"{elapsed} elapsed, no time limit")
        row = TextTable.grid(padding=(0, 1), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        done = min(snapshot.elapsed_s, snapshot.planned_s)
        row.add_row(elapsed, ProgressBar(total=snapshot.planned_s, completed=done), format_duration(snapshot.planned_s))
        return row

    @property
    def _has_charts(self) -> bool:
        return self._console.width >= _CHARTS_FROM[0] and self._console.height >= _CHARTS_FROM[1]

    def _figures(self, snapshot: Snapshot) -> RenderableType:
        total = self._recent.total()
        failures = self._recent.rate(total.failures)
        bars = not self._has_charts
        is_narrow = self._console.width < _BARS_FROM
        quantiles = (0.95,) if is_narrow else (0.5, 0.95, 0.99) if bars else ENDPOINT_QUANTILES
        names = " / ".join(f"p{quantile * 100:g}" for quantile in quantiles)
        latency = " / ".join(map(format_latency, total.quantiles(quantiles) or (None,) * len(quantiles)))
        highest = max((value for value in self._p95 if value is not None), default=None)
        last = joined((sparkline(self._p95), "cyan"), (f" p95, up to {format_latency(highest)}", "dim"))
        rows = [
            ("users", plain(users_text(snapshot), "bold"), classes_text(snapshot)),
            (
                "requests/s",
                plain(format_count(self._recent.rate(total.requests)), "bold"),
                plain(sparkline(self._rps) if bars else "", "green"),
            ),
            (
                "failures/s",
                plain(format_count(failures), "bold red" if failures else "bold"),
                plain(sparkline(self._failures) if bars else "", "red"),
            ),
            (names, plain(latency, "bold"), last if bars else plain("")),
            *iteration_rows(snapshot, self._recent),
            ("in flight", *in_flight_texts(snapshot)),
        ]
        row = TextTable.grid(padding=(0, 1 if is_narrow else 2))
        columns = 2 if is_narrow else 3
        # Names give way, not figures.
        row.add_column(no_wrap=not is_narrow, overflow="fold")
        for _ in range(columns - 1):
            row.add_column(no_wrap=True)
        for cells in rows:
            row.add_row(*cells[:columns])
        return row

    def _charts(self) -> RenderableType:
        """Return charts of requests and p95 of each interval, and of failures if the terminal is wide enough."""
        count = 3 if self._console.width >= _THREE_CHARTS_FROM else 2
        width = (self._console.width - _BORDERS - (count - 1)) // count
        row = TextTable.grid(padding=(0, 1, 0, 0))
        cells = []
        for name, values, label, style in (
            ("requests/s", self._rps, format_count, "green"),
            ("p95", self._p95, format_latency, "cyan"),
            ("failures/s", self._failures, format_count, "red"),
        )[:count]:
            row.add_column(no_wrap=True, width=width)
            seconds = min(len(values), chart_room(width, _LABEL_WIDTH))
            title = joined(
                (f"{'':{_LABEL_WIDTH}}  {name}", style), (f" by second, last {format_duration(seconds)}", "dim")
            )
            lines = line_chart(values, width, _CHART_HEIGHT, label, _LABEL_WIDTH)
            cells.append(Group(title, *(plain(line, style) for line in lines)))
        row.add_row(*cells)
        return row

    def _room(self, snapshot: Snapshot) -> int:
        """Return the number of endpoints for which there are lines left."""
        below = min(MOST_ERRORS, len(snapshot.errors)) + min(MOST_GUARDS + 1, len(snapshot.guards))
        below += min(MOST_CUSTOM + 1, len(snapshot.custom))
        above = _LINES_AROUND_THE_TABLE + (_LINES_OF_CHARTS if self._has_charts else 0)
        return max(3, self._console.height - above - below)
