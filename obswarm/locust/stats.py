"""`locust.stats`: statistics under Locust's names, and tables of them as text. Times are in milliseconds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gevent

from obswarm import clock
from obswarm.api import EntryView, StatsError, StatsView
from obswarm.api.stats_view import Entries
from obswarm.engine import SteeringRunner as Runner
from obswarm.json_text import to_json
from obswarm.locust import stats_csv
from obswarm.locust.stats_csv import StatsCSV
from obswarm.record import RunState
from obswarm.streams import echo_lines

RequestStats = StatsView
StatsEntry = EntryView
EntriesDict = Entries

PERCENTILES_TO_REPORT: list[float] = [0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0]
"""Columns of `print_percentile_stats`."""

PERCENTILES_TO_CHART: list[float] = [0.5, 0.95]
"""Percentiles in the rows of `stats_history`."""

HISTORY_STATS_INTERVAL_SEC = 5
"""Seconds between two rows of `stats_history`."""

CONSOLE_STATS_INTERVAL_SEC = 2
"""Seconds between two tables of `stats_printer`."""

CSV_STATS_INTERVAL_SEC = 1
"""Seconds between two rows of StatsCSVFileWriter."""

CSV_STATS_FLUSH_INTERVAL_SEC = 5
"""Seconds after which it flushes its files."""

PERCENTILES_TO_STATISTICS: list[float] = [0.95, 0.99]
CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW = 10
STATS_AUTORESIZE = True
"""For load tests that set them: there is no web page, tables have a fixed width, and present percentiles are those of
the last second."""

STATS_NAME_WIDTH = 60
STATS_TYPE_WIDTH = 8

__all__ = [
    "CONSOLE_STATS_INTERVAL_SEC",
    "CSV_STATS_FLUSH_INTERVAL_SEC",
    "CSV_STATS_INTERVAL_SEC",
    "CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW",
    "HISTORY_STATS_INTERVAL_SEC",
    "PERCENTILES_TO_CHART",
    "PERCENTILES_TO_REPORT",
    "PERCENTILES_TO_STATISTICS",
    "STATS_AUTORESIZE",
    "STATS_NAME_WIDTH",
    "STATS_TYPE_WIDTH",
    "CachedResponseTimes",
    "EntriesDict",
    "RequestStats",
    "RequestStatsAdditionError",
    "StatsCSV",
    "StatsCSVFileWriter",
    "StatsEntry",
    "StatsError",
    "calculate_response_time_percentile",
    "diff_response_time_dicts",
    "get_error_report_summary",
    "get_percentile_stats_summary",
    "get_readable_percentiles",
    "get_stats_summary",
    "print_error_report",
    "print_percentile_stats",
    "print_stats",
    "print_stats_json",
    "save_stats_json",
    "setup_distributed_stats_event_listeners",
    "sort_stats",
    "stats_history",
    "stats_printer",
    "update_stats_history",
]


class StatsCSVFileWriter(stats_csv.StatsCSVFileWriter):
    """Writes four CSV files again and again, as often as CSV_STATS_INTERVAL_SEC says at that time."""

    @property
    def write_every_s(self) -> float:  # type: ignore[override]
        return CSV_STATS_INTERVAL_SEC

    @property
    def flush_every_s(self) -> float:  # type: ignore[override]
        return CSV_STATS_FLUSH_INTERVAL_SEC


class RequestStatsAdditionError(Exception):
    """For locustfiles that name it."""


class CachedResponseTimes(NamedTuple):
    """Response times (milliseconds) of some moment, for load tests that keep them."""

    response_times: Mapping[int, int]
    num_requests: int
    num_none_requests: int


def diff_response_time_dicts(latest: Mapping[int, int], old: Mapping[int, int]) -> dict[int, int]:
    """Return the numbers of requests by response time that `latest` has more than `old`, without those of 0."""
    added = {response_time: number - old.get(response_time, 0) for response_time, number in latest.items()}
    return {response_time: number for response_time, number in added.items() if number}


def sort_stats(stats: Mapping[Any, Any]) -> list[Any]:
    """Return the values in the order of their keys."""
    return [stats[key] for key in sorted(stats)]


def calculate_response_time_percentile(response_times: Mapping[int, int], num_requests: int, percent: float) -> int:
    """Return the response time below which that share (0 to 1) of requests lies, for numbers of requests by response
    time; 0 without requests."""
    to_skip = num_requests - max(int(num_requests * percent), 1)
    for response_time in sorted(response_times, reverse=True):
        to_skip -= response_times[response_time]
        if to_skip < 0:
            return response_time
    return 0


def get_readable_percentiles(percentile_list: Sequence[float]) -> list[str]:
    """Return the headings of percentiles: `50%`, `99.9%`."""
    return [f"{round(share * 100, 6):g}%" for share in percentile_list]


def get_stats_summary(stats: StatsView, current: bool = True) -> list[str]:
    """Return the lines of a table of all endpoints; `current`: rates of the last interval, else of the whole run."""
    heading = (
        f"{'Type':<{STATS_TYPE_WIDTH}} {'Name':<{STATS_NAME_WIDTH}} {'# reqs':>9} {'# fails':>14} |"
        f" {'Avg':>7} {'Min':>7} {'Max':>7} {'Med':>7} | {'req/s':>9} {'failures/s':>11}"
    )
    rule = "-" * len(heading)
    widths = (STATS_NAME_WIDTH, STATS_TYPE_WIDTH)
    rows = [entry.to_string(current, *widths) for entry in sort_stats(stats.entries)]
    return [heading, rule, *rows, rule, stats.total.to_string(current, *widths), ""]


def get_percentile_stats_summary(stats: StatsView) -> list[str]:
    """Return the lines of a table of percentiles (PERCENTILES_TO_REPORT) of all endpoints."""
    columns = "".join(f"{heading:>8}" for heading in get_readable_percentiles(PERCENTILES_TO_REPORT))
    heading = f"{'Type':<{STATS_TYPE_WIDTH}} {'Name':<{STATS_NAME_WIDTH}}{columns} {'# reqs':>9}"
    rule = "-" * len(heading)
    shown = (PERCENTILES_TO_REPORT, STATS_NAME_WIDTH, STATS_TYPE_WIDTH)
    rows = [entry.percentile(*shown) for entry in sort_stats(stats.entries)]
    return [
        "Response time percentiles (approximated)",
        heading,
        rule,
        *rows,
        rule,
        stats.total.percentile(*shown),
        "",
    ]


def get_error_report_summary(stats: StatsView) -> list[str]:
    """Return the lines of a table of errors with their numbers."""
    rule = "-" * 100
    errors = sorted(stats.errors.values(), key=lambda each: (each.method, each.name, str(each.error)))
    rows = [f"{each.occurrences:<18} {each.to_name().strip()}" for each in errors]
    return ["Error report", f"{'# occurrences':<18} Error", rule, *rows, rule, ""]


def print_stats(stats: StatsView, current: bool = True) -> None:
    """Print the table of `get_stats_summary`."""
    echo_lines("\n".join(get_stats_summary(stats, current)))


def print_percentile_stats(stats: StatsView) -> None:
    """Print the table of `get_percentile_stats_summary`."""
    echo_lines("\n".join(get_percentile_stats_summary(stats)))


def print_error_report(stats: StatsView) -> None:
    """Print the table of `get_error_report_summary`, if there are errors."""
    if stats.errors:
        echo_lines("\n".join(get_error_report_summary(stats)))


def print_stats_json(stats: StatsView) -> None:
    """Print the figures of all endpoints as a JSON list."""
    echo_lines(_as_json(stats))


def save_stats_json(stats: StatsView, filename: str) -> None:
    """Write what `print_stats_json` prints to FILENAME.json. Raises OSError."""
    Path(f"{filename}.json").write_text(_as_json(stats), encoding="utf-8")


def _as_json(stats: StatsView) -> str:
    return to_json([entry.to_dict() for entry in sort_stats(stats.entries)], indent=4)


def setup_distributed_stats_event_listeners(events: Any, stats: StatsView) -> None:
    """Do nothing: what workers report is in their master's statistics without listeners."""


def stats_printer(stats: StatsView) -> Callable[[], None]:
    """Return a function for `gevent.spawn` that prints the table every CONSOLE_STATS_INTERVAL_SEC seconds, until its
    greenlet is killed."""

    def print_for_ever() -> None:
        while True:
            print_stats(stats)
            gevent.sleep(CONSOLE_STATS_INTERVAL_SEC)

    return print_for_ever


def update_stats_history(runner: Runner) -> None:
    """Append a row of the present figures to `runner.stats.history`."""
    total = runner.stats.total
    row: dict[str, Any] = {
        "time": clock.iso(clock.wall()),
        "user_count": runner.user_count,
        "current_rps": total.current_rps,
        "current_fail_per_sec": total.current_fail_per_sec,
        "total_avg_response_time": total.avg_response_time,
    }
    for share in PERCENTILES_TO_CHART:
        row[f"response_time_percentile_{share}"] = total.get_current_response_time_percentile(share) or 0
    runner.stats.history.append(row)


def stats_history(runner: Runner, every_s: float = HISTORY_STATS_INTERVAL_SEC) -> None:
    """Append a row to `runner.stats.history` every `every_s` seconds, until the greenlet is killed or the run stops."""
    while runner.state != RunState.STOPPED:
        update_stats_history(runner)
        gevent.sleep(every_s)
