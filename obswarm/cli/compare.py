"""`obswarm compare`: compare the measurements of two stored runs, with confidence intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from obswarm.analysis import CONFIDENCE
from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.app.recording import open_store
from obswarm.app.report_file import write_page
from obswarm.cli.run_options import store_option
from obswarm.cli.tables import TEXTS_FROM, Row, columns_that_fit, metrics_table, results_table, stacked
from obswarm.cli.text_console import TextConsole, TextTable, plain, stdout_console
from obswarm.json_text import to_json
from obswarm.report import (
    ChangeLimit,
    Comparison,
    Difference,
    compare_runs,
    comparison_document,
    comparison_page,
    parse_change_limit,
    target_sentences,
)
from obswarm.report.custom_table import custom_title
from obswarm.report.wording import (
    INCONCLUSIVE,
    SAME,
    change_text,
    compared_extent,
    confidence_interval_text,
    inconclusive_sentences,
    one_sided_sentences,
    target_metric_name,
    tone_of,
    value_of,
)
from obswarm.stats import TOTAL, CustomKey
from obswarm.store import read_run
from obswarm.streams import echo, echo_lines
from obswarm.units import format_in_unit, format_names, format_number

_STYLES = {"good": "green", "bad": "bold red"}
_VERDICT_WIDTH = 18


def _limits(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[ChangeLimit]:
    try:
        return [parse_change_limit(text) for text in values]
    except ObswarmError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command()
@click.argument("base")
@click.argument("run")
@click.option(
    "--fail-on",
    "limits",
    multiple=True,
    callback=_limits,
    metavar="LIMIT",
    help="Exit with code 5 if a measure or a metric of the load test has changed by more than this, e.g. 'p95 > +10%';"
    " repeatable.",
)
@click.option("--force", is_flag=True, help="Compare the runs even if load test, load or duration differ.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the comparison as one HTML file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    base: str,
    run: str,
    limits: list[ChangeLimit],
    force: bool,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare a run with an earlier one, BASE.

    Both are a run's id or the beginning of it, one of its tags, or `latest`. Each change is shown with its confidence
    interval; a difference that may be due to chance is not reported as a change.
    """
    with open_store(options["store"]) as store:
        records = read_run(store, store.find(base)), read_run(store, store.find(run))
    for limit in limits:
        limit.check(*records)
    found = compare_runs(*records, force)
    if as_json:
        echo_lines(to_json(comparison_document(found), indent=2))
    else:
        _print(stdout_console(), found)
    if output is not None:
        write_page(output, comparison_page(found, *records))
        echo(output, err=True)
    broken = [(limit, name, difference) for limit in limits for name, difference in limit.broken(found)]
    for limit, name, difference in broken:
        echo(f"{limit.text} is exceeded: {name} {change_text(difference)}.", err=True)
    for limit in limits:
        for text in limit.inconclusive(found):
            echo(f"{limit.text} is {INCONCLUSIVE}: {text}.", err=True)
    ctx.exit(exit_codes.REQUIREMENTS if broken else exit_codes.OK)


def _print(console: TextConsole, found: Comparison) -> None:
    for reason in found.incomparable:
        console.print(plain(f"Not comparable: {reason}", "bold yellow"))
    console.print(f"{found.base.run_id} → {found.run.run_id}: {compared_extent(found)}.", highlight=False)
    for text in inconclusive_sentences(found):
        console.print(plain(text, "bold yellow"))
    rows = [
        (key.label, _cells(each), each)
        for key, differences in found.endpoints.items()
        for each in differences
        if key == TOTAL or each.is_significant or not found.blocks
    ]
    headings = ("measure", "base", "run", "change", f"{CONFIDENCE:.0%} between")
    if console.width < TEXTS_FROM:
        beside: list[Row] = [
            (f"{name}: {cells[0]}", [*cells[1:-1], plain(each.verdict, _STYLES.get(tone_of(each), ""))])
            for name, cells, each in rows
        ]
        console.print(stacked(console.width, (*headings[1:-1], "verdict"), beside))
    else:
        console.print(_endpoints(console.width, headings, rows))
    same = [
        key
        for key, each in found.endpoints.items()
        if key != TOTAL and not any(one.is_significant or one.inconclusive for one in each)
    ]
    if same:
        console.print(f"{SAME.capitalize()}: {format_names([key.label for key in same])}.")
    changed = [(metric, each) for metric, each in found.targets.items() if each.is_significant]
    if changed:
        console.print(_targets(console.width, changed))
    for text in target_sentences(found):
        console.print(plain(text, "bold"))
    if found.custom:
        console.print(_custom(console.width, found.custom))
    for text in one_sided_sentences(found):
        console.print(plain(text))
    for name, one, other in found.settings:
        console.print(f"Configuration differs: {name}: {one} → {other}")


def _endpoints(width: int, headings: Sequence[str], rows: Sequence[tuple[str, list[str], Difference]]) -> TextTable:
    names = [name for name, _, _ in rows]
    kept = columns_that_fit(
        width - _VERDICT_WIDTH, names, headings, [cells for _, cells, _ in rows], (headings[-1], "base", "run")
    )
    table = results_table()
    table.add_column("endpoint", overflow="fold", min_width=min(_VERDICT_WIDTH, max(map(len, names), default=0)))
    for place in kept:
        table.add_column(headings[place], justify="right" if place else "left", no_wrap=True)
    table.add_column("verdict", overflow="fold", min_width=_VERDICT_WIDTH - 3)
    before = None
    for name, cells, each in rows:
        verdict = plain(each.verdict, _STYLES.get(tone_of(each), ""))
        table.add_row("" if name == before else name, *(cells[place] for place in kept), verdict)
        before = name
    return table


def _targets(width: int, changed: Sequence[tuple[Any, Difference]]) -> RenderableType:
    rows = []
    for metric, each in changed:
        values = [format_in_unit(metric.unit, value) for value in (each.change.base, each.change.run)]
        rows.append((target_metric_name(metric), [*values, change_text(each)]))
    return metrics_table(width, "changed metrics of the target", ("base", "run", "change"), rows, ("base", "run"))


def _custom(width: int, found: Mapping[tuple[CustomKey, str], Difference]) -> RenderableType:
    """Return a table of the load test's own metrics, which are few: also of those that have not changed."""
    headings = ("base", "run", "change", "verdict")
    rows: list[Row] = []
    for (key, statistic), each in found.items():
        values = [format_number(value) for value in (each.change.base, each.change.run)]
        verdict = "no difference shown" if each.verdict == SAME else each.verdict
        rows.append((f"{custom_title(key)} {statistic}", [*values, change_text(each), verdict]))
    return metrics_table(width, "metrics of the load test", headings, rows, ("base", "run"))


def _cells(difference: Difference) -> list[str]:
    change = difference.change
    values = [value_of(change.measure.name, value) for value in (change.base, change.run)]
    return [change.measure.name, *values, change_text(difference), confidence_interval_text(difference)]
