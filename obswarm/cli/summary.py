"""The summary that is printed at the end of a run."""

from collections.abc import Sequence

from rich.console import RenderableType

from obswarm.cli.guards_seen import GuardsSeen
from obswarm.cli.tables import metrics_table, results_table
from obswarm.cli.text_console import TextConsole, TextTable, plain
from obswarm.engine import RunResult
from obswarm.guards import RequirementResult
from obswarm.record import StopKind
from obswarm.report import (
    cut_off_rows,
    cut_off_sentences,
    endpoint_table,
    generator_sentence,
    iteration_sentences,
    limited_sentence,
)
from obswarm.report.custom_table import custom_cells
from obswarm.report.endpoint_table import endpoint_cells
from obswarm.stats import PHASES, TOTAL, scenario_totals, total_in_flight
from obswarm.units import counted, format_duration, format_latency

_MOST_ERRORS = 20
_LEAST_FIRST = ("mean", "received", "p90", "max", "p99", "req/s")
"""The order in which columns are omitted if names need their space."""
_CUSTOM_LEAST_FIRST = ("count", "p99", "min", "per second", "mean", "p50")


def print_summary(
    console: TextConsole,
    result: RunResult,
    requirement_results: Sequence[RequirementResult] = (),
    guards_seen: GuardsSeen | None = None,
) -> None:
    """Print statistics, errors, exceptions, requirements, guards, what may be missing or distorted, and how the run
    ended."""
    if result.final.endpoints or result.stop_reason.kind is not StopKind.ERROR:
        console.print(_endpoints(result, console.width))
    if result.final.total.timings is not None and result.final.total.timings.histograms:
        console.print(_timings(result, console.width))
    if result.final.custom:
        headings, rows = custom_cells(result.final.custom, result.final.load_s)
        console.print(metrics_table(console.width, "metric", headings, rows, _CUSTOM_LEAST_FIRST))
    if result.final.total.intended_duration is not None:
        console.print(_from_intended_start(result, console.width))
    final = result.final
    limited = limited_sentence(final.iterations_target, final.iterations_ended)
    if limited:
        console.print(plain(limited))
    for sentence, is_warning in iteration_sentences(
        sum(final.iterations.values()), final.dropped_by_reason, final.is_open
    ):
        console.print(plain(sentence, "bold yellow" if is_warning else ""))
    if result.final.errors:
        console.print(_errors(result))
    for found in sorted(result.final.exceptions.values(), key=lambda found: -found.count):
        console.print(plain(f"{found.count:,} × exception in {found.message}", "red"))
    for sentence in cut_off_sentences(cut_off_rows(result.final.cut_off)):
        console.print(plain(sentence))
    if result.final.in_flight:
        console.print(plain(_still_in_flight(result), "yellow"))
    for requirement_result in requirement_results:
        style = "green" if requirement_result.met else "bold red"
        verdict = "met" if requirement_result.met else "NOT MET"
        console.print(
            plain(f"requirement {requirement_result.requirement}: {verdict} ({requirement_result.shown})", style)
        )
    for line in (guards_seen or GuardsSeen()).lines(result.final.guards):
        console.print(line)
    for refused in result.final.refused_alerts:
        text = f"ALERTS REFUSED ({refused.reason}): {refused.count:,}. First: {refused.example}."
        console.print(plain(text, "bold yellow"))
    for target in result.targets:
        if target.problem:
            console.print(plain(target.problem, "bold yellow"))
    for loss in result.losses:
        console.print(plain(f"LOST: {loss}", "bold red"))
    for failed in result.failed_outputs:
        console.print(plain(f"NOT COMPLETE: {failed.output} ({failed.reason}).", "bold red"))
    verdict = generator_sentence(result.saturated, result.max_cpu_ratio, result.max_loop_lag_s)
    console.print(plain(verdict, "bold red" if result.saturated else ""))
    if not result.requests_made and result.error is None:
        console.print(plain("NOTHING WAS MEASURED: no request was made.", "bold yellow"))
    if result.was_never_answered:
        console.print(
            plain(
                f"NO RESPONSE AT ALL: none of {counted(result.requests_made, 'request')} got a response. Check that"
                f" {result.final.host or 'the target'} is the right address, and is running.",
                "bold red",
            )
        )
    if result.explanation:
        console.print(plain(result.explanation, "bold red"))
    ended = format_duration(round(result.final.elapsed_s, 1))
    # The error itself is printed once, after the summary.
    detail = "an error" if result.error is not None else result.stop_reason.detail.rstrip(".")
    console.print(f"Run {result.run_id} ended after {ended}: {detail}. Peak: {counted(result.users_max, 'user')}.")


def _still_in_flight(result: RunResult) -> str:
    total = total_in_flight(result.final.in_flight.values())
    return (
        f"{counted(total.count, 'request')} {'is' if total.count == 1 else 'are'} still in flight in greenlets that the"
        f" load test has started, the oldest for {format_latency(total.oldest_s)}."
    )


def _endpoints(result: RunResult, width: int) -> RenderableType:
    total = result.final.total
    found = sorted(result.final.endpoints.items(), key=lambda item: (item[0].name, item[0].method))
    load_s = result.final.load_s
    rows = [(key.label, endpoint_cells(stats, endpoint_table.FULL, load_s)) for key, stats in found]
    for name, stats in scenario_totals(result.final.endpoints.values()).items():
        rows.append((f"scenario {name}", endpoint_cells(stats, endpoint_table.FULL, load_s)))
    foot = endpoint_cells(total, endpoint_table.FULL, load_s)
    return metrics_table(width, "endpoint", endpoint_table.FULL, rows, _LEAST_FIRST, (TOTAL.name, foot))


def _from_intended_start(result: RunResult, width: int) -> RenderableType:
    """Return percentiles of response times from the intended start."""
    rows = []
    quantiles = (0.5, 0.9, 0.95, 0.99)
    found = sorted(result.final.endpoints.items(), key=lambda item: (item[0].name, item[0].method))
    for name, stats in (*((key.label, stats) for key, stats in found), (TOTAL.name, result.final.total)):
        if stats.intended_duration is not None:
            rows.append((name, list(map(format_latency, stats.intended_duration.quantiles(quantiles)))))
    headings = [f"p{quantile * 100:g}" for quantile in quantiles]
    return metrics_table(width, "from the intended start", headings, rows, ("p90",))


def _timings(result: RunResult, width: int) -> RenderableType:
    """Return mean and p95 of each phase of the requests."""
    rows = []
    for key, stats in sorted(result.final.endpoints.items(), key=lambda item: (item[0].name, item[0].method)):
        timings = stats.timings
        if timings is None:
            continue
        means = timings.means_s()
        cells = []
        for phase in PHASES:
            histogram = timings.histograms.get(phase)
            p95 = histogram.quantile(0.95) if histogram is not None else None
            cells.append(f"{format_latency(means[phase])} / {format_latency(p95)}" if phase in means else "–")
        rows.append((key.label, cells))
    headings = [phase.replace("_", " ") for phase in PHASES]
    return metrics_table(width, "phases: mean / p95", headings, rows, ("tls", "connect", "download"))


def _errors(result: RunResult) -> TextTable:
    table = results_table()
    table.add_column("errors", justify="right", style="red")
    table.add_column("endpoint", overflow="fold")
    table.add_column("message", overflow="fold")
    most = sorted(result.final.errors.items(), key=lambda item: -item[1].count)
    for key, seen in most[:_MOST_ERRORS]:
        table.add_row(f"{seen.count:,}", key.endpoint.label, key.message)
        if seen.example:
            table.add_row("", "", f"e.g. {seen.example}")
    if len(most) > _MOST_ERRORS:
        rest = sum(seen.count for _, seen in most[_MOST_ERRORS:])
        table.add_row(f"{rest:,}", "", f"… {len(most) - _MOST_ERRORS} more kinds")
    return table
