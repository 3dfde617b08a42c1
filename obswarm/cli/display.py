"""The live display in a terminal."""

from collections import deque
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from obswarm.cli.text_console import TextConsole, TextTable, columns_that_fit, joined, panel, plain
from obswarm.cli.window import RecentIntervals
from obswarm.engine import Output, RunHandle, RunResult
from obswarm.stats import EndpointStats, InFlight, RunState, Snapshot, total_in_flight
from obswarm.units import format_bytes, format_count, format_duration, format_latency

_SPARKS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 32
_STATE_STYLES = {
    RunState.SPAWNING: "cyan",
    RunState.RUNNING: "green",
    RunState.HOLDING: "yellow",
    RunState.STOPPING: "yellow",
    RunState.STOPPED: "bold",
}
_HEADINGS = ("requests", "failures", "req/s", "p50", "p95", "p99", "max", "under way")
_FAILURES = _HEADINGS.index("failures")
_LEAST_FIRST = ("max", "p99", "requests", "under way", "p50")
"""The order in which columns give way to names."""

_BORDERS = 6
_MOST_ERRORS = 5
_MOST_GUARDS = 6
_LINES_AROUND_THE_TABLE = 15
_OLD_S = 1.0
"""From this age on, a request that is under way is worth a look."""


def sparkline(values: Sequence[float], width: int = _SPARK_WIDTH) -> str:
    """The last values as bars; the highest of them is the full height."""
    shown = list(values)[-width:]
    top = max(shown, default=0)
    if top <= 0:
        return _SPARKS[0] * len(shown)
    return "".join(_SPARKS[min(len(_SPARKS) - 1, int(value / top * (len(_SPARKS) - 1) + 0.5))] for value in shown)


class LiveDisplay(Output):
    """Redraws a picture of the run at every snapshot."""

    name = "The live display"
    required = False

    def __init__(self, console: TextConsole) -> None:
        self._console = console
        self._recent = RecentIntervals()
        self._rps: deque[float] = deque(maxlen=_SPARK_WIDTH)
        self._failures: deque[float] = deque(maxlen=_SPARK_WIDTH)
        self._p95: deque[float] = deque(maxlen=_SPARK_WIDTH)
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
        self._p95.append(snapshot.interval_total.quantile(0.95) or 0.0)
        self._live.update(self.render(snapshot), refresh=True)

    def render(self, snapshot: Snapshot) -> RenderableType:
        """The whole picture."""
        parts: list[RenderableType] = [self._progress(snapshot), self._figures(snapshot), self._endpoints(snapshot)]
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

    def _figures(self, snapshot: Snapshot) -> RenderableType:
        total = self._recent.total()
        p50, p95, p99 = total.quantiles((0.5, 0.95, 0.99)) or (None, None, None)
        failures = self._recent.rate(total.failures)
        row = TextTable.grid(padding=(0, 2))
        for _ in range(3):
            row.add_column(no_wrap=True)
        row.add_row("users", plain(f"{snapshot.user_count:,} of {snapshot.user_target:,}", "bold"), _classes(snapshot))
        row.add_row(
            "requests/s",
            plain(format_count(self._recent.rate(total.requests)), "bold"),
            plain(sparkline(self._rps), "green"),
        )
        row.add_row(
            "failures/s",
            plain(format_count(failures), "bold red" if failures else "bold"),
            plain(sparkline(self._failures), "red"),
        )
        latency = " / ".join(format_latency(value) for value in (p50, p95, p99))
        row.add_row("p50 / p95 / p99", plain(latency, "bold"), plain(sparkline(self._p95), "cyan"))
        row.add_row("under way", *_under_way(snapshot))
        return row

    def _endpoints(self, snapshot: Snapshot) -> RenderableType:
        waiting = {key: EndpointStats(key) for key in snapshot.in_flight if key not in snapshot.endpoints}
        busiest = sorted({**snapshot.endpoints, **waiting}.items(), key=lambda item: -item[1].requests)
        below = min(_MOST_ERRORS, len(snapshot.errors)) + min(_MOST_GUARDS + 1, len(snapshot.guards))
        room = max(3, self._console.height - _LINES_AROUND_THE_TABLE - below)
        rows = []
        for key, stats in busiest[:room]:
            recent = self._recent.endpoint(key)
            latencies = (*(recent.quantiles((0.5, 0.95, 0.99)) or (None, None, None)), recent.max_s)
            cells = [
                f"{stats.requests:,}",
                f"{stats.failures:,} ({stats.error_ratio:.1%})" if stats.failures else "0",
                format_count(self._recent.rate(recent.requests)),
                *map(format_latency, latencies),
                _waiting(snapshot.in_flight.get(key)),
            ]
            rows.append((key.label, cells, "red" if recent.failures else ""))
        width = self._console.width - _BORDERS
        names, cells_of_all = [name for name, _, _ in rows], [cells for _, cells, _ in rows]
        kept = columns_that_fit(width, names, _HEADINGS, cells_of_all, _LEAST_FIRST)
        table = TextTable(expand=True, box=None, header_style="dim", padding=(0, 1))
        table.add_column("endpoint", ratio=1, no_wrap=True, overflow="ellipsis")
        for place in kept:
            table.add_column(_HEADINGS[place], justify="right", no_wrap=True)
        for name, cells, style in rows:
            texts = [plain(text, style if number == _FAILURES else "") for number, text in enumerate(cells)]
            table.add_row(name, *(texts[place] for place in kept))
        if len(busiest) > room:
            table.add_row(plain(f"… and {len(busiest) - room} more", "dim"))
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
        workers = [worker for worker in snapshot.workers if worker.state in ("ready", "leaving")]
        away = len(snapshot.workers) - len(workers)
        if len(snapshot.workers) > 1:
            line.append(f"{len(workers)} workers · ", "dim")
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


_GUARD_STYLES = {"ok": "green", "pending": "yellow", "tripped": "bold red", "blind": "bold magenta"}


def _guards(snapshot: Snapshot) -> RenderableType:
    table = TextTable.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for guard in snapshot.guards[:_MOST_GUARDS]:
        text = joined((guard.when, "bold"), f" → {guard.action}", (f"   now {guard.shown}", "dim"))
        if guard.blind_reason:
            text.append_text(plain(f"   {guard.blind_reason}", "magenta"))
        table.add_row(plain(f"guard {guard.state:<7}", _GUARD_STYLES.get(guard.state, "")), text)
    if len(snapshot.guards) > _MOST_GUARDS:
        table.add_row("", plain(f"… and {len(snapshot.guards) - _MOST_GUARDS} more guards", "dim"))
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
