"""`obswarm runs show`: times, configuration, statistics and annotations of a stored run."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.console import RenderableType

from obswarm import clock
from obswarm.app.recording import open_store
from obswarm.cli.run_options import store_option
from obswarm.cli.runs import facts_of, run_argument, runs
from obswarm.cli.tables import metrics_table
from obswarm.cli.text_console import TextTable, stdout_console
from obswarm.config import option_text
from obswarm.json_text import to_json
from obswarm.record import RunRecord, guard_title
from obswarm.report import endpoint_table, guard_outcome
from obswarm.report.endpoint_table import endpoint_cells
from obswarm.stats import TOTAL
from obswarm.store import read_run
from obswarm.streams import echo_lines
from obswarm.units import counted, format_bytes, format_duration, format_tenths


@runs.command()
@run_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
def show(name: str, as_json: bool, **options: Any) -> None:
    """Show a stored run.

    The output has its times, configuration, guards, statistics by endpoint, and annotations.
    """
    with open_store(options["store"]) as store:
        run = store.find(name)
        record = read_run(store, run)
        if as_json:
            document = {**facts_of(run), "configuration": run.configuration, "result": run.result}
            echo_lines(to_json(document, indent=2))
            return
        size = store.size_bytes(run)
    console = stdout_console()
    console.print(_details(record, size))
    console.print(_endpoints(record, console.width))
    for annotation in record.annotations:
        console.print(f"{format_tenths(annotation.time_s - run.started_s):>9}  {annotation.text}", soft_wrap=True)


def _details(record: RunRecord, size: int) -> TextTable:
    run = record.info
    table = TextTable(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    ended = run.result["stop_reason"]["detail"] if run.result else "still running, or did not end properly"
    targets = dict.fromkeys(f"{metric.target} ({metric.kind})" for metric in (*record.samples, *record.series))
    rows = {
        "run": run.run_id,
        "test": run.test,
        "host": run.host or "",
        "started": clock.iso(run.started_s),
        "took": format_duration(run.duration_s),
        "ended": ended,
        "tags": ", ".join(run.tags),
        "note": run.note,
        "revision": run.revision or "",
        "configuration": " ".join(option_text(name, value) for name, value in run.configuration.items()),
        "targets": ", ".join(targets),
        "stored": f"{counted(len(record.intervals), 'second')}, {format_bytes(size)}",
    }
    for heading, text in [*rows.items(), *_verdicts(run.result or {})]:
        if text:
            table.add_row(heading, text)
    return table


def _verdicts(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What became of guards, requirements and alerts; results of earlier versions may lack some of them."""
    for guard in result.get("guards", ()):
        yield (
            "guard",
            f"{guard_title(guard['name'], guard['when'], guard['action'])} → {guard['action']}: {guard_outcome(guard)}",
        )
    for each in result.get("requirements", ()):
        yield "required", f"{each['require']}: {'met' if each['met'] else 'not met'}"
    for refused in result.get("refused_alerts", ()):
        yield "alerts", f"{refused['count']:,} refused, {refused['reason']}: {refused['example']}"


def _endpoints(record: RunRecord, width: int) -> RenderableType:
    load_s = record.load_s
    found = sorted(record.endpoints.items(), key=lambda item: (item[0].name, item[0].method))
    rows = [
        (key.label, endpoint_cells(stats, endpoint_table.SHORT, load_s))
        for key, stats in [*found, (TOTAL, record.total())]
    ]
    return metrics_table(width, "endpoint", endpoint_table.SHORT, rows, ("max", "p99", "req/s"))
