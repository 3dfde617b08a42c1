"""`obswarm runs`: list, tag, export and remove stored runs."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from obswarm import clock
from obswarm.app.recording import open_store, report_of
from obswarm.cli.run_options import store_option
from obswarm.cli.tables import columns_that_fit, results_table
from obswarm.cli.text_console import stdout_console
from obswarm.json_text import to_json
from obswarm.record import RunInfo
from obswarm.sanitize import escape_controls
from obswarm.store import export_run, import_runs
from obswarm.streams import echo, echo_lines
from obswarm.units import format_duration, format_latency, format_percent

run_argument = click.argument("name", metavar="RUN")


@click.group()
def runs() -> None:
    """List, show, tag, export and remove stored runs.

    RUN is a run's id or the beginning of it, one of its tags, or `latest`.
    """


@runs.command("list")
@click.option("--test", metavar="NAME", help="Only runs of this load test.")
@click.option("--tag", metavar="TAG", help="Only runs with this tag.")
@click.option("-n", "--last", type=click.IntRange(1), metavar="N", help="Only the latest N runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
def list_(test: str | None, tag: str | None, last: int | None, as_json: bool, **options: Any) -> None:
    """List the runs, the newest first."""
    with open_store(options["store"]) as store:
        found = store.runs(test, tag)[:last]
        if as_json:
            echo_lines(to_json([{**facts_of(run), "bytes": store.size_bytes(run)} for run in found], indent=2))
            return
        if not found:
            echo(f"No matching runs in {store.path}.")
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
        format_percent(totals["error_ratio"]),
        format_latency(totals["p95_s"]),
        str(run.result["stop_reason"]["kind"]),
        tags,
    ]


def facts_of(run: RunInfo) -> dict[str, Any]:
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
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@click.option("--remove", is_flag=True, help="Remove the tags instead of adding them.")
@store_option
def tag(name: str, tags: tuple[str, ...], remove: bool, **options: Any) -> None:
    """Add tags to a run; commands accept a tag instead of the run's id."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        (store.untag if remove else store.tag)(run, tags)
        echo(f"{run.run_id}: {', '.join(store.find(run.run_id).tags) or 'no tags'}")


@runs.command()
@run_argument
@click.argument("text")
@store_option
def note(name: str, text: str, **options: Any) -> None:
    """Set the note of a run; an empty TEXT removes it."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        store.note(run, text)
        echo(f"{run.run_id}: {text or 'no note'}")


@runs.command()
@run_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: RUN.obswarm]"
)
@store_option
def export(name: str, output: Path | None, **options: Any) -> None:
    """Write a run to a file that `runs import` reads."""
    with open_store(options["store"]) as store:
        run = store.find(name)
        path = output or Path(f"{run.run_id}.obswarm")
        export_run(store, run, path)
    echo(path)


@runs.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@store_option
def import_(files: tuple[Path, ...], **options: Any) -> None:
    """Import runs from files of `runs export`."""
    with open_store(options["store"], create=True) as store:
        for path in files:
            for run in import_runs(store, path):
                echo(run.run_id)


@runs.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@store_option
def rm(names: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Remove runs permanently, with their reports."""
    with open_store(options["store"]) as store:
        found = list({run.key: run for run in map(store.find, names)}.values())
        if not yes:
            listed = escape_controls(", ".join(run.run_id for run in found))
            click.confirm(f"Remove {listed} with all measurements?", abort=True, err=True)
        store.remove(found)
        for run in found:
            report_of(store.path.parent, run).unlink(missing_ok=True)
            echo(run.run_id)
