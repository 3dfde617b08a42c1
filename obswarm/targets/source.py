"""The one way to the target's metrics: a MetricSource answers PromQL, whoever has scraped them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from obswarm.http import ApiAccess, Naming
from obswarm.redact import redact_text

_ANYBODY = ApiAccess()
MISSED_SCRAPES = 5
"""So many scrapes may give no values; what is missing for longer is no gap any more. Prometheus' own five minutes, over
which it goes on with the last value, are longer than most collapses."""


class SourceError(Exception):
    """The source cannot answer now: it is away, or refuses the query. Its text is for people, without the passwords of
    URLs."""

    def __str__(self) -> str:
        return redact_text(super().__str__())


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer. Without labels for a plain number."""

    labels: Mapping[str, str]
    value: float


def only_value(samples: Sequence[Sample]) -> float | None:
    """None unless there is just one, and it is a number."""
    return samples[0].value if len(samples) == 1 and math.isfinite(samples[0].value) else None


@dataclass(frozen=True, slots=True)
class Target:
    """A metrics endpoint. `kind` is one of obswarm.targets.KINDS; `name` is the series' label `job`. With
    `has_kind_label` its series carry the label `kind` as well, which tells them from others of the job. `access` is how
    the endpoint lets in who reads it."""

    name: str
    url: str
    kind: str
    has_kind_label: bool = False
    access: ApiAccess = _ANYBODY


def field_of_target(target: Target) -> Naming:
    """How people call the fields of its `access`."""
    return lambda name: f"{'headers' if name == 'header' else name} of the target {target.name}"


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """How reading a target went last. `age_s` is how long ago, None for never; `has_metrics` whether there was a metric
    of its kind. `is_known` is False where the source did not answer, so that nobody knows of the target. `waiting_s` is
    for how long the question that is under way has had no answer, which tells of that time, too."""

    target: Target
    up: bool
    detail: str
    age_s: float | None
    has_metrics: bool = True
    is_known: bool = True
    waiting_s: float = 0.0


class MetricSource(Protocol):
    """What guards, reports and analysis know of the target."""

    health_every_s: float
    """`health` need not be asked more often."""

    stale_after_s: float
    """For how long it may have no values without anybody being told: what is missing for less is a gap."""

    def check(self, query: str) -> None:
        """Raises ObswarmError when the query is one that this source will never answer."""

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        """The values at a moment of the last seconds (`obswarm.clock.monotonic`), now unless given; an empty list when
        no series matches. May switch greenlets, and be called by several. Raises SourceError."""

    def filters_all(self, query: str, at_s: float | None = None) -> bool:
        """Whether a query without series at that moment has none because it filters what there is, so that this says
        something: `x == 0`, `count(up == 0)`, `absent(x)`. May switch greenlets. Raises SourceError."""

    def why_no_series(self, query: str) -> str:
        """Say why a query gives no series, as a clause: which target is down, or has no such metric. Empty where
        nothing is known about it yet. Does not wait."""

    def figures(self, queries: Sequence[str]) -> list[float | None]:
        """The one value that each query gives; None where it gives none, several, or no number. May switch greenlets.
        Raises SourceError."""

    def targets(self) -> list[Target]:
        """Those that it was told of, or that it knows by itself. May switch greenlets. Raises SourceError."""

    def start(self) -> None:
        """Begin to look at the targets."""

    def close(self) -> None:
        """Stop that."""

    def health(self) -> list[TargetHealth]:
        """Of each target that it was told of, or knows by itself. May switch greenlets."""
