"""MetricSource: the interface to the targets' metrics by PromQL, whether obswarm or a Prometheus scrapes them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from obswarm.http import ApiAccess, Naming
from obswarm.redact import redact_text

_NO_CREDENTIALS = ApiAccess()
MISSED_SCRAPES = 5
"""Number of missed scrapes that count as a gap; longer absence is no data. Prometheus' own lookback of five minutes is
longer than most outages."""


class SourceError(Exception):
    """A query failed: the source is unreachable or refuses the query. The message is for users and redacts passwords in
    URLs."""

    def __str__(self) -> str:
        return redact_text(super().__str__())


@dataclass(frozen=True, slots=True)
class Sample:
    """A series of a query result; a scalar has no labels."""

    labels: Mapping[str, str]
    value: float


def only_value(samples: Sequence[Sample]) -> float | None:
    """Return the value if there is exactly one sample and it is finite, else None."""
    return samples[0].value if len(samples) == 1 and math.isfinite(samples[0].value) else None


@dataclass(frozen=True, slots=True)
class Target:
    """A metrics endpoint. `kind` is one of obswarm.targets.KINDS; `name` is the label `job` of its series. With
    `has_kind_label` its series also have the label `kind`, which distinguishes them from others of the job. `access`
    has the credentials and certificates for scraping."""

    name: str
    url: str
    kind: str
    has_kind_label: bool = False
    access: ApiAccess = _NO_CREDENTIALS


def field_of_target(target: Target) -> Naming:
    """Return the names that error messages use for the fields of `access`."""
    return lambda name: f"{'headers' if name == 'header' else name} of the target {target.name}"


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """Result of the last scrape of a target. `age_s`: seconds since then, None for never; `has_metrics`: whether it had
    metrics of its kind; `is_known`: False if the source did not respond; `pending_s`: seconds since the start of a
    request in progress, whose result will cover that time."""

    target: Target
    up: bool
    detail: str
    age_s: float | None
    has_metrics: bool = True
    is_known: bool = True
    pending_s: float = 0.0


class MetricSource(Protocol):
    """Access to the targets' metrics for guards, reports and analysis."""

    health_interval_s: float
    """Polling interval for `health`, in seconds."""

    stale_after_s: float
    """Seconds without values after which a series counts as absent; a shorter absence is a gap."""

    def check(self, query: str) -> None:
        """Raise ObswarmError if this source can never evaluate the query."""

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        """Evaluate an instant query; an empty list if no series matches. Raises SourceError.

        `at_s` is a time within the last seconds (`obswarm.clock.monotonic`), None for now. May switch greenlets, and be
        called concurrently.
        """

    def filters_all(self, query: str, at_s: float | None = None) -> bool:
        """Return whether a query without series at that time is empty because it filters existing series, which is a
        result and not missing data: `x == 0`, `count(up == 0)`, `absent(x)`. May switch greenlets. Raises
        SourceError."""

    def why_no_series(self, query: str) -> str:
        """Return why a query returns no series, as a clause: which target is down, or has no such metric. Empty if
        unknown yet. Does not block."""

    def metric_values(self, queries: Sequence[str]) -> list[float | None]:
        """Return the value of each query; None if it returns no sample, several, NaN or an infinity. May switch
        greenlets. Raises SourceError."""

    def targets(self) -> list[Target]:
        """Return the configured or discovered targets. May switch greenlets. Raises SourceError."""

    def start(self) -> None:
        """Start scraping, or try the registered queries."""

    def close(self) -> None:
        """Stop scraping, and release connections."""

    def health(self) -> list[TargetHealth]:
        """Return the health of each configured or discovered target. May switch greenlets."""
