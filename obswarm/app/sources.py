"""Sources of the target's metrics: the Prometheus and the targets of the configuration."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from obswarm.api import ObswarmError
from obswarm.config import SETTINGS, AccessConfig, FileConfig, RunConfig, table_place
from obswarm.http import ApiAccess, access_of, naming_by_options, parse_header
from obswarm.nearest import nearest_names
from obswarm.redact import redact_url, register_setting
from obswarm.targets import KINDS, MetricSource, Target, field_of_target, kind_of_table

PROMETHEUS = "prometheus"
"""Prefix of the options for a Prometheus."""

_NO_CREDENTIALS = ApiAccess()


class Prometheus(NamedTuple):
    """URL of a Prometheus, and how requests to it are authenticated."""

    url: str
    access: ApiAccess


def make_source(
    targets: Sequence[Target], prometheus: Prometheus | None, queries: Sequence[str] | None
) -> MetricSource | None:
    """Return the Prometheus as source if there is one, else an embedded scraper of the targets; None without
    targets."""
    # They import a parser of PromQL, which a run without targets does not need.
    if prometheus is not None:
        from obswarm.targets import PrometheusSource

        return PrometheusSource(prometheus.url, targets, prometheus.access)
    if targets:
        from obswarm.targets import EmbeddedSource

        return EmbeddedSource(targets, queries)
    return None


def targets_of(config: RunConfig, folder: Path | None = None, is_made_here: bool = True) -> tuple[Target, ...]:
    """Return the targets of command line and file. Paths of tokens and certificates are relative to `folder`, if given;
    if another machine executes the run, they are paths of that machine. Raises ObswarmError."""
    file = config.file
    add_kinds(file)
    targets = list(table_targets(file))
    texts = [(f"{file.where}target ", text) for text in file.texts.get("target", ())]
    for place, text in [*texts, *(("--target ", text) for text in config.targets.targets)]:
        kind, equals, where = text.partition("=")
        if not equals:
            raise ObswarmError(f"{place}{text}: write it like mysql=http://127.0.0.1:9104/metrics.")
        targets.append(make_target(f"{place}{text}: ", _free_name(kind, targets), where, kind))
    if folder is not None:
        targets = [replace(target, access=target.access.below(folder)) for target in targets]
    if is_made_here:
        for target in targets:
            target.access.check_files(field_of_target(target))
    return tuple(targets)


def add_kinds(file: FileConfig) -> None:
    """Add the kinds of the tables [[kinds]] to those that this process knows. Raises ObswarmError."""
    if not file.kinds:
        return
    # It imports a parser of PromQL.
    from obswarm.targets import check_queries

    for number, each in enumerate(file.kinds, start=1):
        place = table_place(file.where, "kinds", number)
        kind = kind_of_table(place, {**each.values, "metrics": list(each.metrics)})
        check_queries(place, kind)
        KINDS.add([kind])


def table_targets(file: FileConfig) -> tuple[Target, ...]:
    """Return the targets of the tables [[targets]]. Raises ObswarmError."""
    return tuple(
        make_target(table_place(file.where, "targets", number), each.name, each.url, each.kind, api_access(each.access))
        for number, each in enumerate(file.targets, start=1)
    )


def prometheus_of(config: RunConfig, folder: Path | None = None, check_files: bool = False) -> Prometheus | None:
    """Return the Prometheus of the configuration, None without one. Raises ObswarmError for contradictory settings."""
    url = config.targets.prometheus_url
    if url is None:
        useless = useless_option(config, "prometheus_url")
        if useless is not None:
            raise ObswarmError(f"{useless} needs --prometheus-url URL.")
        return None
    access = api_access(config.targets.prometheus_access, folder)
    access.check(naming_by_options(PROMETHEUS))
    if check_files:
        access.check_files(naming_by_options(PROMETHEUS))
    return Prometheus(url, access)


def api_access(config: AccessConfig, folder: Path | None = None) -> ApiAccess:
    """Return how requests are authenticated; paths are relative to `folder`, if given."""
    values = {each.name: getattr(config, each.name) or None for each in fields(config) if each.name != "headers"}
    access = access_of({**values, "headers": tuple(parse_header(text) for text in config.headers)})
    return access if folder is None else access.below(folder)


def useless_option(config: RunConfig, needed: str) -> str | None:
    """Return the first given option that needs the setting `needed`; None without one."""
    return next((each.option for each in SETTINGS.values() if each.needs == needed and config.value(each.name)), None)


def make_target(
    where: str, name: str | None, url: str | None, kind: str | None, access: ApiAccess = _NO_CREDENTIALS
) -> Target:
    """Make a target. Raises ObswarmError for an unknown kind, an invalid URL, or contradictory credentials."""
    if kind is None or kind not in KINDS:
        nearest = nearest_names(kind or "", KINDS, 1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise ObswarmError(f"{where}there is no kind {kind!r} of target; it is one of {', '.join(KINDS)}.{hint}")
    check_url(f"{where}url", url or "")
    register_setting("url", url)
    access.check(lambda field: f"{where}{'headers' if field == 'header' else field}")
    return Target(name or kind, url or "", kind, access=access)


def check_url(where: str, url: str) -> None:
    """Raise ObswarmError unless `url` is an http or https URL."""
    if not is_http_url(url):
        raise ObswarmError(f"{where}: {redact_url(url)!r} is not a URL; write it like http://127.0.0.1:9104/metrics.")


def is_http_url(text: str) -> bool:
    """Whether the text is an http or https URL with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _free_name(kind: str, targets: Sequence[Target]) -> str:
    """Return a unique name: the kind, with a number from the second target of the kind on."""
    number = sum(target.kind == kind for target in targets) + 1
    taken = {target.name for target in targets}
    while (name := kind if number == 1 else f"{kind}-{number}") in taken:
        number += 1
    return name
