"""`obswarm targets`: the targets' health and current metrics."""

import math
from collections.abc import Sequence
from typing import Any

import click
import gevent

from obswarm.api import ObswarmError
from obswarm.app import exit_codes
from obswarm.app.sources import add_kinds, check_url, make_source, prometheus_of, targets_of
from obswarm.cli.guard_options import source_options
from obswarm.cli.option_types import duration
from obswarm.cli.options import Command, option, with_options
from obswarm.cli.run import config_of
from obswarm.cli.tables import texts_table
from obswarm.cli.text_console import TextConsole, plain, stdout_console
from obswarm.redact import redact_url
from obswarm.streams import echo
from obswarm.targets import (
    KINDS,
    MetricSource,
    PrometheusSource,
    SourceError,
    Target,
    Unit,
    guess_kinds,
    queries_of,
    scrape_names,
    sort_key_of,
)
from obswarm.units import counted, format_bytes, format_count, format_latency, format_not_finite, format_tenths


def _with_source(command: Command) -> Command:
    return with_options(command, source_options)


@click.command()
@_with_source
@option(
    "--watch-for",
    type=duration,
    default="3s",
    show_default=True,
    metavar="DURATION",
    help="How long to scrape the targets; rates need some seconds. Not used with a Prometheus.",
)
@click.option(
    "--kind-of",
    metavar="URL",
    help="Only show which kind of target the metrics endpoint at this address is.",
)
@click.pass_context
def targets(ctx: click.Context, /, **options: Any) -> None:
    """Show the current metrics of the targets.

    Scrapes the targets of obswarm.toml and of --target, or queries the Prometheus of --prometheus-url, and lists the
    health and the main metrics of each target. Exit code 1 if a target cannot be scraped, or has no metrics of its
    kind.
    """
    config = config_of(ctx)
    if options["kind_of"] is not None:
        add_kinds(config.file)
        ctx.exit(_show_kinds(options["kind_of"]))
    found, prometheus = targets_of(config), prometheus_of(config, check_files=True)
    source = make_source(found, prometheus, None)
    if source is None:
        raise ObswarmError(
            "There are no targets: give --target KIND=URL or --prometheus-url, or write [[targets]] or prometheus_url"
            f" into {config.file.path or 'obswarm.toml'}. Kinds: {', '.join(KINDS)}."
        )
    source.start()
    # A Prometheus has scraped already.
    gevent.sleep(0 if prometheus else options["watch_for"])
    console = stdout_console()
    fine = _show_health(console, source)
    try:
        _show_metrics(console, source, found or _targets_of(source), bool(found))
    except SourceError as error:
        raise ObswarmError(f"{error}.") from None
    finally:
        source.close()
    ctx.exit(exit_codes.OK if fine else exit_codes.FAILURES)


def _show_kinds(url: str) -> int:
    """Print which kinds the metrics of an endpoint may be of; returns the exit code."""
    check_url("--kind-of", url)
    try:
        names = scrape_names(Target("kind-of", url, ""))
    except SourceError as error:
        raise ObswarmError(f"--kind-of: {redact_url(url)}: {error}.") from None
    guesses = guess_kinds(names)
    if not guesses:
        count = counted(len(names), "metric")
        echo(f"{redact_url(url)} has {count}, and none of any known kind. Kinds: {', '.join(KINDS)}.")
        echo("A table [[kinds]] of obswarm.toml adds a kind of your own.")
        return exit_codes.FAILURES
    for guess in guesses:
        title = f"{guess.kind.name}: {guess.kind.title}, {guess.found} of the {guess.used} metrics that it uses"
        echo(f"{title}. --target {guess.kind.name}={redact_url(url)}" if guess is guesses[0] else f"{title}.")
    return exit_codes.OK


def _show_health(console: TextConsole, source: MetricSource) -> bool:
    health = source.health()
    if health:
        rows = []
        for each in health:
            up = plain("up", "green") if each.up else plain("down", "bold red")
            if each.up and not each.has_metrics:
                up = plain(f"no {each.target.kind}", "bold red")
            age = each.detail if each.age_s is None else f"{each.detail}, {format_tenths(each.age_s)} ago"
            rows.append((each.target.name, each.target.kind, up, redact_url(each.target.url), age))
        console.print(texts_table(console.width, ("target", "kind", "", "address", "last scrape"), rows))
    for each in health:
        if each.up and not each.has_metrics:
            text = f"{each.target.name} responds, but has no metrics of the kind {each.target.kind}"
            console.print(plain(f"{text}; check its address and kind.", "yellow"))
    return all(each.has_metrics for each in health)


def _targets_of(source: MetricSource) -> list[Target]:
    """Return the targets of a Prometheus: those with a label `kind`, or, without any, those found by their metrics."""
    return source.targets() or (source.targets_by_metrics() if isinstance(source, PrometheusSource) else [])


def _show_metrics(console: TextConsole, source: MetricSource, found: Sequence[Target], all_of_them: bool) -> None:
    rows = []
    for target, metric, query in queries_of(sorted(found, key=lambda each: (sort_key_of(each.kind), each.name))):
        value, trouble = _value(source, query)
        if value is None and not trouble and not all_of_them:
            continue
        shown = plain(trouble, "red") if trouble else plain("–" if value is None else _format(metric.unit, value))
        name = target.name if target.name == target.kind else f"{target.name} ({target.kind})"
        rows.append((name, metric.name, shown, plain(query, "dim")))
    table = texts_table(console.width, ("target", "metric", "value", "promql(…)"), rows, right=("value",))
    console.print(table if rows else "There are no metrics of any known kind of target.")


def _value(source: MetricSource, query: str) -> tuple[float | None, str]:
    try:
        samples = source.query(query)
    except SourceError as error:
        return None, str(error)
    numbers = [sample.value for sample in samples]
    # NaN only if there is no other value.
    return min(numbers, key=math.isnan, default=None), ""


def _format(unit: Unit, value: float) -> str:
    if not math.isfinite(value):
        return format_not_finite(value)
    if unit == "seconds":
        return format_latency(value)
    if unit == "ratio":
        return f"{value:.1%}"
    if unit == "bytes":
        return format_bytes(value)
    return format_count(round(value, 3)) + ("/s" if unit == "per_second" else "")
