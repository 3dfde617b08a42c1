"""Where the target's metrics come from: the options of Prometheus and of targets, and the source that they make."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from obswarm.api import ObswarmError
from obswarm.cli.access import access_in, access_options, given_option
from obswarm.cli.options import config_option, http_url
from obswarm.cli.options import shared_option as option
from obswarm.cli.settings import Settings, make_target, read_settings
from obswarm.http import ApiAccess, naming_by_options
from obswarm.targets import EmbeddedSource, MetricSource, PrometheusSource, Target, field_of_target

PROMETHEUS = "prometheus"
"""What its options begin with."""

source_options: tuple[Callable[[Any], Any], ...] = (
    config_option,
    option(
        "--prometheus-url",
        type=http_url,
        metavar="URL",
        help="A Prometheus that scrapes the target; guards' PromQL goes there.",
    ),
    *access_options(PROMETHEUS, "that Prometheus"),
    option(
        "--target",
        "targets",
        multiple=True,
        adds=True,
        metavar="KIND=URL",
        help="A metrics endpoint to read during the run, like mysql=http://db:9104/metrics; repeat it.",
    ),
)


class Prometheus(NamedTuple):
    """Where one is, and how it is let in."""

    url: str
    access: ApiAccess


def make_source(
    targets: Sequence[Target], prometheus: Prometheus | None, queries: Sequence[str] | None
) -> MetricSource | None:
    """A Prometheus when there is one, else what reads the targets itself, else nothing."""
    if prometheus is not None:
        return PrometheusSource(prometheus.url, targets, prometheus.access)
    return EmbeddedSource(targets, queries) if targets else None


def settings_of(
    options: dict[str, Any], folder: Path | None = None, is_made_here: bool = True
) -> tuple[Settings, tuple[Target, ...], Prometheus | None]:
    """The file's settings, and targets and Prometheus as command line and file together say. Paths of tokens and
    certificates are relative to the folder, if one is named; those of a run that another machine makes are that
    machine's."""
    settings = read_settings(options["config"], Path.cwd())
    targets = [*settings.targets]
    texts = [(f"{settings.where}target ", text) for text in settings.texts("target")]
    for place, text in [*texts, *(("--target ", text) for text in options["targets"])]:
        kind, equals, where = text.partition("=")
        if not equals:
            raise ObswarmError(f"{place}{text}: write it like mysql=http://127.0.0.1:9104/metrics.")
        targets.append(make_target(f"{place}{text}: ", _free_name(kind, targets), where, kind))
    if folder is not None:
        targets = [replace(target, access=target.access.below(folder)) for target in targets]
    prometheus = prometheus_of(options, folder)
    if is_made_here:
        if prometheus is not None:
            prometheus.access.check_files(naming_by_options(PROMETHEUS))
        for target in targets:
            target.access.check_files(field_of_target(target))
    return settings, tuple(targets), prometheus


def prometheus_of(options: Mapping[str, Any], folder: Path | None = None) -> Prometheus | None:
    """The one of the options. Raises ObswarmError for options that make no sense together; its files are not looked
    at."""
    url = options["prometheus_url"]
    if url is None:
        useless = given_option(options, PROMETHEUS)
        if useless is not None:
            raise ObswarmError(f"{useless} needs --prometheus-url URL.")
        return None
    access = access_in(options, PROMETHEUS, folder)
    access.check(naming_by_options(PROMETHEUS))
    return Prometheus(url, access)


def _free_name(kind: str, targets: Sequence[Target]) -> str:
    """The kind, with a number from the second on, that no other target has: a target is told by its name alone."""
    number = sum(target.kind == kind for target in targets) + 1
    taken = {target.name for target in targets}
    while (name := kind if number == 1 else f"{kind}-{number}") in taken:
        number += 1
    return name
