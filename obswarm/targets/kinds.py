"""The kinds of targets, each with its metrics: queries that show whether it is the bottleneck, and what they mean.

A kind is a file in kind_files/ in TOML, or a table [[kinds]] of obswarm.toml with the same keys and a name.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from obswarm.errors import ObswarmError
from obswarm.nearest import nearest_names
from obswarm.targets.source import Target

Unit = Literal["number", "seconds", "ratio", "per_second", "bytes"]

Meaning = Literal["utilisation", "saturation", "errors", "rate", "duration", "capacity", "level"]
"""What a metric says of a resource, in the words of the USE and RED methods. `utilisation`: how much of it is in use;
`saturation`: work that waits for it; `errors`; `rate`: work done; `duration`: time for a piece of work; `capacity`: how
much of it there is; `level`: none of these by itself."""

LAYERS = (
    *("balancer", "server", "application", "pool", "cache", "broker", "dependency"),
    *("database", "network", "process", "machine"),
)
"""Layers of a system, in the order in which a request passes them; a dependency is a service outside. The network to
the database is below it, and so is what stops a process of the application: while an answer is on its way, or the
process does not run, the database holds what the next statement waits for."""

_FOLDER = Path(__file__).parent / "kind_files"

BUILT_IN = (
    *("haproxy", "envoy", "traefik", "nginx", "uwsgi", "gunicorn", "phpfpm", "app", "jvm", "go", "python"),
    *("pgbouncer", "proxysql", "mysql", "postgres", "mongodb", "redis", "memcached", "rabbitmq", "kafka"),
    *("node", "kubernetes", "cadvisor"),
)
"""The kinds in kind_files/, in the order in which a request passes them: load balancer, app server, application, pool,
database, cache and broker; then machines and containers."""


ANY = "any"
"""The kind of targets of which nothing is known: every series is recorded, and judged by its behaviour alone."""


@dataclass(frozen=True, slots=True)
class TargetMetric:
    """A metric of a target. `query` is PromQL within the embedded source's subset and returns one value in `unit`:
    `seconds`, `bytes`, `ratio` (1 is 100 %), `per_second` (events per second) or `number` (counts, CPU cores).

    `limit` is the highest possible value of a utilisation: a number, or the name of another metric of the kind. `shows`
    is the layer below whose state it shows: a balancer's queue shows its servers. `part` is the layer of the target's
    own part that it belongs to, as an application's connection pool. `worse` is `low` if low values are bad. `next` is
    what to look at if it is a cause, as the rest of a sentence.
    """

    name: str
    query: str
    unit: Unit
    meaning: Meaning = "level"
    limit: float | str | None = None
    shows: str = ""
    part: str = ""
    worse: Literal["high", "low"] = "high"
    next: str = ""

    def of(self, target: Target) -> str:
        """Return the query, restricted to the series of the target."""
        matchers = matchers_of(target)

        def narrowed(found: re.Match[str]) -> str:
            return f"{found[1]}{{{', '.join([*matchers, found[2]] if found[2] else matchers)}}}"

        return _SELECTOR.sub(narrowed, self.query)

    @property
    def window_s(self) -> float:
        """Seconds over which it is an average, 0 for none."""
        return max((float(seconds) for seconds in _RANGE.findall(self.query)), default=0.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of target: its title, its layer (of LAYERS, empty if unknown), the exporter that has its metrics. A
    runtime's metrics accompany those of other kinds: each exporter that is written in Go has those of Go."""

    name: str
    title: str
    layer: str
    metrics: tuple[TargetMetric, ...]
    exporter: str = ""
    is_runtime: bool = False

    def metric(self, name: str) -> TargetMetric | None:
        """Return the metric of that name, None if it has none."""
        return next((metric for metric in self.metrics if metric.name == name), None)


class Kinds(Mapping[str, Kind]):
    """Kinds by name, in the order in which a request passes them; the built-in ones are read at the first use."""

    def __init__(self) -> None:
        self._added: dict[str, Kind] = {}

    @cached_property
    def _built_in(self) -> dict[str, Kind]:
        # Only here: runs without targets read none.
        import tomllib

        found = {
            name: kind_of_table(f"{name}.toml: ", {"name": name, **tomllib.loads(_text_of(name))}) for name in BUILT_IN
        }
        return {**found, ANY: Kind(ANY, "Target", "", (), "any exporter")}

    def add(self, kinds: Iterable[Kind]) -> None:
        """Add kinds of a configuration; one of the name of a built-in one replaces it."""
        self._added |= {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str) -> Kind:
        return self._added[name] if name in self._added else self._built_in[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(BUILT_IN), **self._added, ANY: None})

    def __len__(self) -> int:
        return len({*BUILT_IN, *self._added, ANY})

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or name in self._added or name == ANY


KINDS = Kinds()
"""All kinds of targets that this process knows."""


def _text_of(name: str) -> str:
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")


KIND_KEYS = {
    "name": "Name, for `kind` of a target.",
    "title": "Title, for reports; by default the name.",
    "layer": f"Its place on a request's way: {', '.join(f'`{layer}`' for layer in LAYERS)}.",
    "exporter": "What has these metrics.",
    "is_runtime": "Whether programs of other kinds have these metrics as well.",
    "metrics": "Its metrics, each in a table `[[kinds.metrics]]`.",
}
METRIC_KEYS = {
    "name": "Name, in reports.",
    "query": "PromQL that returns one value.",
    "unit": f"Its unit: {', '.join(f'`{unit}`' for unit in get_args(Unit))}.",
    "meaning": f"What it says of the resource: {', '.join(f'`{meaning}`' for meaning in get_args(Meaning))} (default).",
    "limit": "Of a utilisation, the highest possible value: a number, or the name of another metric.",
    "shows": "The layer below whose state it shows: a balancer's queue shows the servers.",
    "part": "The layer of the target's own part that it belongs to, as an application's pool of connections.",
    "worse": "`high` (default) or `low`: which values are bad.",
    "next": "What to look at if this is the cause.",
}


def kind_of_table(where: str, values: Mapping[str, Any]) -> Kind:
    """Return the kind of a table. Raises ObswarmError with `where` and key."""
    _check_keys(where, values, KIND_KEYS)
    name = _text(where, values, "name", required=True)
    layer = _choice(where, values, "layer", LAYERS)
    tables = values.get("metrics")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
        raise ObswarmError(f"{where}metrics are missing; write each as a table [[kinds.metrics]].")
    metrics = tuple(_metric(f"{where}metric {number}: ", table) for number, table in enumerate(tables, start=1))
    names = [metric.name for metric in metrics]
    for metric in metrics:
        if names.count(metric.name) > 1:
            raise ObswarmError(f"{where}two metrics have the name {metric.name!r}.")
        if isinstance(metric.limit, str) and metric.limit not in names:
            raise ObswarmError(f"{where}the limit {metric.limit!r} of {metric.name!r} is not one of its metrics.")
    return Kind(
        name=name,
        title=_text(where, values, "title") or name,
        layer=layer,
        metrics=metrics,
        exporter=_text(where, values, "exporter"),
        is_runtime=_flag(where, values, "is_runtime"),
    )


def _metric(where: str, values: Mapping[str, Any]) -> TargetMetric:
    _check_keys(where, values, METRIC_KEYS)
    limit = values.get("limit")
    if isinstance(limit, bool) or (limit is not None and not isinstance(limit, int | float | str)):
        raise ObswarmError(f"{where}limit has to be a number, or the name of another metric.")
    if isinstance(limit, int | float) and not (math.isfinite(limit) and limit > 0):
        raise ObswarmError(f"{where}limit is {limit}; it has to be above 0.")
    return TargetMetric(
        name=_text(where, values, "name", required=True),
        query=_text(where, values, "query", required=True),
        unit=_choice(where, values, "unit", get_args(Unit)),
        meaning=_choice(where, values, "meaning", get_args(Meaning), "level"),
        limit=float(limit) if isinstance(limit, int) else limit,
        shows=_choice(where, values, "shows", LAYERS, ""),
        part=_choice(where, values, "part", LAYERS, ""),
        worse=_choice(where, values, "worse", ("high", "low"), "high"),
        next=_text(where, values, "next"),
    )


def _check_keys(where: str, values: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in values:
        if key not in known:
            nearest = nearest_names(key, known, 1)
            hint = f"Did you mean {nearest[0]}?" if nearest else f"Known keys: {', '.join(known)}."
            raise ObswarmError(f"{where}unknown key {key!r}. {hint}")


def _text(where: str, values: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise ObswarmError(f"{where}{key} is {value!r}; it has to be a text.")
    if required and not value:
        raise ObswarmError(f"{where}{key} is missing.")
    return value


def _flag(where: str, values: Mapping[str, Any], key: str) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        raise ObswarmError(f"{where}{key} is {value!r}; it has to be true or false.")
    return value


def _choice(where: str, values: Mapping[str, Any], key: str, known: tuple[str, ...], default: str | None = None) -> Any:
    value = values.get(key, default)
    if value not in known and value != default:
        raise ObswarmError(f"{where}{key} is {value!r}; it has to be one of {', '.join(known)}.")
    if value is None:
        raise ObswarmError(f"{where}{key} is missing; it is one of {', '.join(known)}.")
    return value


def matchers_of(target: Target) -> list[str]:
    """Return PromQL matchers that select the series of the target."""
    kind = [f'kind="{target.kind}"'] if target.has_kind_label else []
    return [f'job="{_quoted(target.name)}"', *kind]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def queries_of(targets: Iterable[Target]) -> list[tuple[Target, TargetMetric, str]]:
    """Return (target, metric, query) for every metric of every target."""
    return [(target, metric, metric.of(target)) for target in targets for metric in KINDS[target.kind].metrics]


def sort_key_of(kind: str, metric: str = "") -> tuple[int, int]:
    """Return a sort key: kinds in the order in which a request passes them, metrics in the order of their kind, unknown
    ones last."""
    kinds = list(KINDS)
    if kind not in KINDS:
        return len(kinds), 0
    names = [each.name for each in KINDS[kind].metrics]
    return kinds.index(kind), names.index(metric) if metric in names else len(names)


def title_of(name: str, kind: str) -> str:
    """Return the title of a target: that of its kind, and its name if it differs."""
    title = KINDS[kind].title if kind in KINDS else kind
    return title if name == kind else f"{title}: {name}"


_SELECTOR = re.compile(r"\b([a-z]\w*)(?:\{([^}]*)\})?(?=[\[)])")
"""A metric name in a query: followed by `)`, matchers, or a range."""

_RANGE = re.compile(r"\[(\d+)s\]")
