"""`obswarm runs`: the runs that are kept."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from obswarm import clock
from obswarm.app.recording import open_store, report_of
from obswarm.cli.run_options import store_option
from obswarm.cli.tables import columns_that_fit, figures_table, results_table
from obswarm.cli.text_console import TextTable, stdout_console
from obswarm.config import setting_text
from obswarm.json_text import to_json
from obswarm.record import RunInfo, RunRecord
from obswarm.sanitize import escape_controls
from obswarm.stats import TOTAL
from obswarm.store import export_run, import_runs, read_run
from obswarm.streams import say, say_lines
from obswarm.units import counted, format_bytes, format_count, format_duration, format_latency

run_argument = click.argument("name", metavar="RUN")


@click.group()
def runs() -> None:
    """The runs that are kept here.

    RUN is a run's id or the beginning of it, one of its tags, or `latest`.
    """


@runs.command("list")
@click.option("--test", metavar="NAME", help="Only those of this load test.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("-n", "--last", type=click.IntRange(1), metavar="N", help="Only the last ones.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@store_option
def list_(test: str | None, tag: str | None, last: int | None, as_json: bool, **options: Any) -> None:
    """List the runs, the newest first."""
    with open_store(options["store"]) as store:
        found = store.runs(test, tag)[:last]
        if as_json:
            say_lines(to_json([{**_facts(run), "bytes": store.size_bytes(run)} for run in found], indent=2))
            return
        if not found:
            say(f"There are no such runs in {store.path}.")
            return
        rows = [_row(run) for run in found]
    console = stdout_console()
    kept = columns_that_fit(console.width, [], _HEADINGS, rows, _LEAST_FIRST)
    table = results_table()
    for heading in (_HEADINGS[place] for place in kept):
        right = heading in ("took", "users", "requests", "failed", "p95")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading not in ("test", "tags"))
    for row in rows:
        table.add_row(*(row[place] for place in kept))
    console.print(table)


_HEADINGS = ("run", "test", "started", "took", "users", "requests", "failed", "p95", "ended", "tags")
_LEAST_FIRST = ("users", "took", "tags", "p95", "failed", "ended", "started", "requests", "test")


def _row(run: RunInfo) -> list[str]:
    started = datetime.fromtimestamp(run.started_s).strftime("%Y-%m-%d %H:%M")
    head = [run.run_id, run.test, started, format_duration(run.duration_s)]
    tags = ", ".join(run.tags)
    if run.result is None:
        return [*head, "", "", "", "", "not ended", tags]
    totals = run.result["totals"]
    return [
        *head,
        f"{run.result['users_max']:,}",
        f"{totals['requests']:,}",
        f"{totals['error_ratio']:.1%}",
        format_latency(totals["p95_s"]),
        str(run.result["stop_reason"]["kind"]),
        tags,
    ]


def _facts(run: RunInfo) -> dict[str, Any]:
    totals = run.result["totals"] if run.result is not None else {}
    return {
        "run_id": run.run_id,
        "test": run.test,
        "host": run.host,
        "started_at": clock.iso(run.started_s),
        "ended_at": None if run.ended_s is None else clock.iso(run.ended_s),
        "duration_s": round(run.duration_s, 3),
        "version": run.version,
        "revision": run.revision,
        "tags": list(run.tags),
        "note": run.note,
        **{name: totals.get(name) for name in ("requests", "failures", "p95_s")},
    }


@runs.command()
@run_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@store_option
def show(name: str, as_json: bool, **options: Any) -> None:
    """Show what is known of a run."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        record = read_run(store, run)
        if as_json:
            document = {**_facts(run), "configuration": run.configuration, "result": run.result}
            say_lines(to_json(document, indent=2))
            return
        size = store.size_bytes(run)
    console = stdout_console()
    console.print(_details(record, size))
    console.print(_endpoints(record, console.width))
    for mark in record.marks:
        console.print(f"{mark.time_s - run.started_s:8.1f} s  {mark.text}", soft_wrap=True)


def _details(record: RunRecord, size: int) -> TextTable:
    run = record.info
    table = TextTable(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    ended = run.result["stop_reason"]["detail"] if run.result else "it did not end properly, or is still going on"
    targets = dict.fromkeys(f"{figure.target} ({figure.kind})" for figure in record.samples)
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
        "configuration": " ".join(f"{key}={setting_text(key, value)}" for key, value in run.configuration.items()),
        "targets": ", ".join(targets),
        "kept": f"{counted(len(record.seconds), 'second')}, {format_bytes(size)}",
    }
    for heading, text in rows.items():
        if text:
            table.add_row(heading, text)
    return table


_ENDPOINT_HEADINGS = ("requests", "failures", "req/s", "p50", "p95", "p99", "max")


def _endpoints(record: RunRecord, width: int) -> RenderableType:
    load_s = record.load_s
    found = sorted(record.endpoints.items(), key=lambda item: (item[0].name, item[0].method))
    names, cells = [], []
    for key, stats in [*found, (TOTAL, record.total())]:
        p50, p95, p99 = stats.quantiles((0.5, 0.95, 0.99)) or (None,) * 3
        names.append(key.label)
        cells.append(
            [
                f"{stats.requests:,}",
                f"{stats.failures:,}",
                format_count(stats.rate(load_s)),
                *(format_latency(value) for value in (p50, p95, p99, stats.max_s)),
            ]
        )
    rows = list(zip(names, cells, strict=True))
    return figures_table(width, "endpoint", _ENDPOINT_HEADINGS, rows, ("max", "p99", "req/s"))


@runs.command()
@run_argument
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@click.option("--remove", is_flag=True, help="Take them away instead.")
@store_option
def tag(name: str, tags: tuple[str, ...], remove: bool, **options: Any) -> None:
    """Give a run tags, which it can be found by."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        (store.untag if remove else store.tag)(run, tags)
        say(f"{run.run_id}: {', '.join(store.find(run.run_id).tags) or 'no tags'}")


@runs.command()
@run_argument
@click.argument("text")
@store_option
def note(name: str, text: str, **options: Any) -> None:
    """Write a note to a run; an empty one takes it away."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        store.note(run, text)
        say(f"{run.run_id}: {text or 'no note'}")


@runs.command()
@run_argument
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: RUN.obswarm]")
@store_option
def export(name: str, output: Path | None, **options: Any) -> None:
    """Write a run to a file that `runs import` reads."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        path = output or Path(f"{run.run_id}.obswarm")
        export_run(store, run, path)
    say(path)


@runs.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@store_option
def import_(files: tuple[Path, ...], **options: Any) -> None:
    """Take runs over from files that `runs export` has written."""
    with open_store(options["store"], create=True) as store:
        for path in files:
            for run in import_runs(store, path):
                say(run.run_id)


@runs.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@store_option
def rm(names: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Remove runs for good."""
    with open_store(options["store"]) as store:
        found = list({run.key: run for run in map(store.find, names)}.values())
        if not yes:
            listed = escape_controls(", ".join(run.run_id for run in found))
            click.confirm(f"Remove {listed} with everything that was measured?", abort=True, err=True)
        store.remove(found)
        for run in found:
            report_of(store.path.parent, run).unlink(missing_ok=True)
            say(run.run_id)
