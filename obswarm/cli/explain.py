"""`obswarm explain`: what saturated first in a stored run, or in a file with metrics."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from obswarm.analysis.explain import (
    Explanation,
    csv_document,
    csv_headline,
    csv_sections,
    explain_metrics,
    explanation_document,
    headline,
    read_metrics_csv,
    sections,
)
from obswarm.analysis.explain import explain as explain_run
from obswarm.analysis.explain.spans import TraceFindings, trace_sentences
from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.app.recording import open_store
from obswarm.app.run_traces import find_traces, traces_document
from obswarm.app.sources import add_kinds, check_url
from obswarm.cli.run_options import store_option
from obswarm.cli.settings import file_config_of
from obswarm.cli.text_console import joined, plain, stdout_console
from obswarm.json_text import to_json
from obswarm.record import RunInfo
from obswarm.redact import register_setting
from obswarm.store import LATEST, read_run
from obswarm.streams import echo_error, echo_lines
from obswarm.targets import SourceError
from obswarm.units import format_duration


def _traces_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            check_url("--traces", value)
        except ObswarmError as error:
            raise click.UsageError(str(error), ctx) from None
        register_setting("url", value)
    return value


_INDENT = "  "
_NARROWEST = 20


@click.command()
@click.argument("run", required=False)
@click.option(
    "--traces",
    metavar="URL",
    callback=_traces_url,
    help="URL of a Tempo or Jaeger with traces of the run; shows the slowest ones, and the span that grew longer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Explain a file with metrics of services, in the layout of RCAEval's data.csv, instead of a run.",
)
@click.option(
    "--injected-at", metavar="SECOND", type=float, help="With --csv: when the fault began, in the file's column `time`."
)
@store_option
@click.pass_context
def explain(
    ctx: click.Context,
    /,
    run: str | None,
    traces: str | None,
    as_json: bool,
    csv_file: Path | None,
    injected_at: float | None,
    **options: Any,
) -> None:
    """Explain what saturated first in a run.

    Ranks the components of the target as causes by the metrics that were stored with the run, with the evidence for
    each. RUN is a run's id or the beginning of it, one of its tags, or `latest`, which is the default.
    """
    if csv_file is not None:
        if run is not None:
            raise click.UsageError("--csv explains a file; leave RUN out.")
        if traces is not None:
            raise click.UsageError("--csv explains a file; there are no traces of it for --traces.")
        if injected_at is None:
            raise click.UsageError("--csv needs --injected-at SECOND, the time at which the fault began.")
        services = explain_metrics(read_metrics_csv(csv_file, injected_at))
        if as_json:
            echo_lines(to_json(csv_document(str(csv_file), services), indent=2))
        else:
            _print(csv_headline(services), csv_sections(services))
        return
    if injected_at is not None:
        raise click.UsageError("--injected-at needs --csv FILE.")
    add_kinds(file_config_of(ctx))
    with open_store(options["store"]) as store:
        info = store.find(run or LATEST)
        found = explain_run(read_run(store, info))
    traced, failure = _traced(info, found, traces)
    if as_json:
        of_traces = {} if traces is None else {"traces": traces_document(traced) if traced else {"error": failure}}
        document = {**explanation_document(found), "has_ended": info.ended_s is not None, **of_traces}
        echo_lines(to_json(document, indent=2))
    else:
        further = {
            "Traces": list(trace_sentences(traced)) if traced else [],
            "This run": [] if info.ended_s is not None else [_unfinished(info)],
        }
        _print(headline(found), [*sections(found), *((each, lines) for each, lines in further.items() if lines)])
    if failure:
        echo_error(f"The traces are missing: {failure}.")
        ctx.exit(exit_codes.FAILURES)


def _unfinished(info: RunInfo) -> str:
    return f"It is still running, or did not end properly: this is about its first {format_duration(info.duration_s)}."


def _traced(info: RunInfo, found: Explanation, url: str | None) -> tuple[TraceFindings | None, str]:
    """Return what the traces show, None without any, and why they cannot be read."""
    if url is None:
        return None, ""
    try:
        return find_traces(info, found, url), ""
    except SourceError as error:
        return None, str(error)


def _print(first: str, rest: Iterable[tuple[str, list[str]]]) -> None:
    """Print the headline and the sections; lines of sentences that are wrapped have the indent of the first."""
    console = stdout_console()
    console.print(plain(first, "bold"))
    for heading, sentences in rest:
        console.print()
        console.print(plain(heading, "bold"))
        for sentence in sentences:
            for line in plain(sentence).wrap(console, max(console.width - len(_INDENT), _NARROWEST)):
                console.print(joined(_INDENT, line.plain.rstrip()))
