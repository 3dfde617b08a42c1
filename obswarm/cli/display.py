"""The live display in a terminal."""

import math
import re
from collections import deque

from rich.console import Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment
from rich.text import Text

from obswarm.cli.charts import chart_room, line_chart, sparkline
from obswarm.cli.tables import fitting_columns, stacked
from obswarm.cli.text_console import TextConsole, TextTable, joined, panel, plain
from obswarm.cli.window import RecentIntervals
from obswarm.engine import Output, RunHandle, RunResult
from obswarm.record import SEEN_OVER_S, GuardState, GuardView, RunState, Snapshot, WorkerStatus
from obswarm.stats import EndpointStats, InFlight, total_in_flight
from obswarm.units import counted, format_bytes, format_count, format_duration, format_latency

_STATE_STYLES = {
    RunState.SPAWNING: "cyan",
    RunState.RUNNING: "green",
    RunState.HOLDING: "yellow",
    RunState.STOPPING: "yellow",
    RunState.STOPPED: "bold",
}
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
    "under way",
)
_FAILURES = _HEADINGS.index("failures")
_LEAST_FIRST = ("received/s", "mean", "p99.9", "max", "p90", "p99", "requests", "under way", "p50")
"""The order in which columns give way to names."""

_ENDPOINT_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_BORDERS = 4
_GAP_AT_THE_END = 2
"""What a table without edges does not take of its width."""

_MOST_ERRORS = 5
_MOST_GUARDS = 6
_LINES_AROUND_THE_TABLE = 15
_OLD_S = 1.0
"""From this age on, a request that is under way is worth a look."""

_CHARTS_FROM = (110, 30)
"""Columns and lines of a terminal from which on there are charts with a scale instead of rows of bars."""

_THREE_CHARTS_FROM = 160
_BARS_FROM = 70
_CHART_HEIGHT = 5
_LINES_OF_CHARTS = 4
"""How many lines the charts take more than the rows of bars."""

_LABEL_WIDTH = 8
_MOST_INTERVALS = 1000


class LiveDisplay(Output):
    """Redraws a picture of the run at every snapshot."""

    name = "The live display"
    required = False

    def __init__(self, console: TextConsole) -> None:
        self._console = console
        self._recent = RecentIntervals()
        self._rps: deque[float | None] = deque(maxlen=_MOST_INTERVALS)
        self._failures: deque[float | None] = deque(maxlen=_MOST_INTERVALS)
        self._p95: deque[float | None] = deque(maxlen=_MOST_INTERVALS)
        self._drawn: tuple[int, RenderableType] | None = None
        """The last picture, and how wide the terminal was then."""
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
        """Where the terminal has become narrower, the last picture takes more lines there than rich knows of."""
        if self._drawn is None or self._console.width >= self._drawn[0]:
            return
        width, picture = self._drawn
        lines = self._console.render_lines(picture, self._console.options.update(width=width), pad=False)
        more = sum(math.ceil(Segment.get_line_length(line) / self._console.width) - 1 for line in lines)
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        self._console.control(Control((ControlType.ERASE_IN_LINE, 2), *(up * min(more, self._console.height))))

    def render(self, snapshot: Snapshot) -> RenderableType:
        """The whole picture."""
        parts: list[RenderableType] = [self._progress(snapshot), self._figures(snapshot)]
        if self._has_charts:
            parts.append(self._charts())
        parts.append(self._endpoints(snapshot))
        if snapshot.errors:
            parts.append(self._errors(snapshot))
        if snapshot.guards:
            parts.append(_guards(snapshot))
        parts.append(self._health(snapshot))
        style = _STATE_STYLES.get(snapshot.state, "white")
        title = joined(
            ("obswarm ", "bold"), f"{snapshot.test} → {snapshot.host or 'no host'} ", (f" {snapshot.state} ", style)
        )
        hint = "Ctrl-C stops gracefully" if snapshot.state is not RunState.STOPPING else "Ctrl-C again ends at once"
        return panel(Group(*parts), title, plain(f"{snapshot.run_id} · {hint}"), style)

    def _progress(self, snapshot: Snapshot) -> RenderableType:
        elapsed = format_duration(round(snapshot.elapsed_s))
        if not snapshot.planned_s:
            return plain(f"{elapsed} so far, without a planned end")
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
        quantiles = (0.95,) if is_narrow else (0.5, 0.95, 0.99) if bars else _ENDPOINT_QUANTILES
        names = " / ".join(f"p{quantile * 100:g}" for quantile in quantiles)
        latency = " / ".join(map(format_latency, total.quantiles(quantiles) or (None,) * len(quantiles)))
        highest = max((value for value in self._p95 if value is not None), default=None)
        last = joined((sparkline(self._p95), "cyan"), (f" p95, up to {format_latency(highest)}", "dim"))
        rows = [
            ("users", plain(f"{snapshot.user_count:,} of {snapshot.user_target:,}", "bold"), _classes(snapshot)),
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
            ("under way", *_under_way(snapshot)),
        ]
        row = TextTable.grid(padding=(0, 2))
        columns = 2 if is_narrow else 3
        for _ in range(columns):
            row.add_column(no_wrap=True)
        for cells in rows:
            row.add_row(*cells[:columns])
        return row

    def _charts(self) -> RenderableType:
        """Requests and p95 of each interval, and, where there is room, failures."""
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
            title = joined((f"{'':{_LABEL_WIDTH}}  {name}", style), (f" of each second, last {seconds} s", "dim"))
            lines = line_chart(values, width, _CHART_HEIGHT, label, _LABEL_WIDTH)
            cells.append(Group(title, *(plain(line, style) for line in lines)))
        row.add_row(*cells)
        return row

    def _endpoints(self, snapshot: Snapshot) -> RenderableType:
        waiting = {key: EndpointStats(key) for key in snapshot.in_flight if key not in snapshot.endpoints}
        busiest = sorted({**snapshot.endpoints, **waiting}.items(), key=lambda item: -item[1].requests)
        below = min(_MOST_ERRORS, len(snapshot.errors)) + min(_MOST_GUARDS + 1, len(snapshot.guards))
        above = _LINES_AROUND_THE_TABLE + (_LINES_OF_CHARTS if self._has_charts else 0)
        room = max(3, self._console.height - above - below)
        rows: list[tuple[str, list[Text]]] = []
        for key, stats in busiest[:room]:
            recent = self._recent.endpoint(key)
            quantiles = recent.quantiles(_ENDPOINT_QUANTILES) or (None,) * len(_ENDPOINT_QUANTILES)
            latencies = (recent.duration.mean_s, *quantiles, recent.max_s)
            cells = [
                f"{stats.requests:,}",
                f"{stats.failures:,} ({stats.error_ratio:.1%})" if stats.failures else "0",
                format_count(self._recent.rate(recent.requests)),
                *map(format_latency, latencies),
                format_bytes(self._recent.rate(recent.response_bytes)),
                _waiting(snapshot.in_flight.get(key)),
            ]
            style = "red" if recent.failures else ""
            rows.append((key.label, [plain(text, style if n == _FAILURES else "") for n, text in enumerate(cells)]))
        width = self._console.width - _BORDERS + _GAP_AT_THE_END
        heading = f"endpoint (last {self._recent.seconds:.0f} s)"
        kept = fitting_columns(width, heading, _HEADINGS, rows, _LEAST_FIRST)
        more = plain(f"… and {len(busiest) - room} more", "dim")
        if kept is None:
            narrow = stacked(self._console.width - _BORDERS, _HEADINGS, rows[: max(1, room // 3)], _LEAST_FIRST)
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

    def _errors(self, snapshot: Snapshot) -> RenderableType:
        table = TextTable.grid(padding=(0, 1), expand=True)
        table.add_column(justify="right", no_wrap=True, style="red")
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        most = sorted(snapshot.errors.items(), key=lambda item: -item[1].count)
        for key, seen in most[:_MOST_ERRORS]:
            table.add_row(f"{seen.count:,} ×", f"{key.method} {key.name}: {key.message}")
        return table

    def _health(self, snapshot: Snapshot) -> RenderableType:
        line = plain("generator ", "dim")
        workers = [worker for worker in snapshot.workers if worker.state in (WorkerStatus.READY, WorkerStatus.LEAVING)]
        away = len(snapshot.workers) - len(workers)
        if len(snapshot.workers) > 1:
            line.append(f"{counted(len(workers), 'worker')} · ", "dim")
        if away:
            line.append(f"{away} missing · ", "bold red")
        if workers:
            saturated = sum(worker.saturated for worker in workers)
            most = "up to " if len(workers) > 1 else ""
            cpu_ratio = max(worker.cpu_ratio for worker in workers)
            lag_ms = max(worker.loop_lag_s for worker in workers) * 1000
            memory = format_bytes(sum(worker.memory_bytes for worker in workers))
            style = "bold white on red" if saturated else "dim"
            line.append(f"CPU {most}{cpu_ratio:.0%} · loop lag {most}{lag_ms:.0f} ms · {memory}", style)
            if saturated:
                which = f" ({saturated} of {len(workers)})" if len(workers) > 1 else ""
                line.append(f" THE GENERATOR IS THE BOTTLENECK{which}", "bold red")
        if snapshot.exceptions:
            count = sum(found.count for found in snapshot.exceptions.values())
            line.append(f"   {count:,} exceptions in tasks", "red")
        return line


_GUARD_STYLES = {
    GuardState.OK: "green",
    GuardState.PENDING: "yellow",
    GuardState.TRIPPED: "bold red",
    GuardState.NO_DATA: "bold magenta",
}


_ADDRESS = re.compile(r" at https?://\S+")


def _cause(guard: GuardView) -> str:
    """Without the address of its source, which would leave no room for what is wrong; the summary has it."""
    return _ADDRESS.sub("", guard.no_data_reason)


def _guards(snapshot: Snapshot) -> RenderableType:
    table = TextTable.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for guard in snapshot.guards[:_MOST_GUARDS]:
        text = joined((guard.title, "bold"), f" → {guard.action}")
        if guard.is_partly_seen:
            over_s = min(guard.watched_s, SEEN_OVER_S)
            text.append_text(plain(f"   seen {guard.seen_ratio:.0%} of the last {over_s:.0f} s", "magenta"))
        if guard.state is GuardState.NO_DATA or guard.is_partly_seen:
            text.append_text(plain(f"   {_cause(guard)}", "magenta"))
        table.add_row(plain(f"guard {guard.state.label:<7}", _GUARD_STYLES[guard.state]), guard.shown, text)
    if len(snapshot.guards) > _MOST_GUARDS:
        table.add_row("", "", plain(f"… and {len(snapshot.guards) - _MOST_GUARDS} more guards", "dim"))
    return table


def _waiting(in_flight: InFlight | None) -> str:
    """How many of an endpoint's requests are under way, and the age of the oldest once that is old."""
    if in_flight is None:
        return "0"
    age = f" ({format_latency(in_flight.oldest_s)})" if in_flight.oldest_s >= _OLD_S else ""
    return f"{in_flight.count:,}{age}"


def _under_way(snapshot: Snapshot) -> tuple[Text, Text]:
    """Requests that have no answer yet, and, once one of them is old, which."""
    total = total_in_flight(snapshot.in_flight.values())
    if not total.count:
        return plain("0", "bold"), plain("")
    key = max(snapshot.in_flight, key=lambda key: snapshot.in_flight[key].oldest_s)
    style = "yellow" if total.oldest_s >= _OLD_S else "dim"
    return plain(f"{total.count:,}", "bold"), plain(f"oldest {format_latency(total.oldest_s)}, {key.label}", style)


def _classes(snapshot: Snapshot) -> Text:
    if len(snapshot.users) < 2:
        return plain("")
    return plain(" · ".join(f"{name} {count:,}" for name, count in snapshot.users.items()), "dim")
