"""The Prometheus metrics that each kind of target has, as the queries of the kinds name them.

Apart from the kinds, since it needs the parser of PromQL, and results and reports do not.
"""

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from obswarm.errors import ObswarmError
from obswarm.targets.evaluate import metric_names, parse
from obswarm.targets.kinds import KINDS, Kind, matchers_of
from obswarm.targets.source import Target

_MATCHER = 'job="x"'


class Guess(NamedTuple):
    """A kind that a page of metrics may be of: how many of the metrics that it uses are there, and of how many."""

    kind: Kind
    found: int
    used: int


def metrics_of(kind: str) -> frozenset[str]:
    """Return the Prometheus metric names that the metrics of a kind use."""
    return _metrics_of(KINDS[kind])


@cache
def _metrics_of(kind: Kind) -> frozenset[str]:
    return frozenset().union(*(metric_names(parse(metric.query)) for metric in kind.metrics))


def check_queries(where: str, kind: Kind) -> None:
    """Raise ObswarmError, with `where`, for a query that cannot be evaluated, or be restricted to one target."""
    target = Target("x", "", kind.name)
    for metric in kind.metrics:
        place = f"{where}query of {metric.name!r}: "
        try:
            names = metric_names(parse(metric.query))
            restricted = metric.of(target)
            parse(restricted)
        except ObswarmError as error:
            raise ObswarmError(f"{place}{error}") from None
        if not names or restricted.count(_MATCHER) < len(names):
            raise ObswarmError(
                f"{place}write each metric with a function around it, such as sum(jobs_waiting) or"
                " sum(rate(jobs_total[15s])), so that it can be restricted to a target."
            )


def guess_kinds(names: Collection[str]) -> list[Guess]:
    """Return the kinds that a page with metrics of these names may be of, the most probable first. A runtime is named
    only if no other kind has been found: its metrics accompany those of others."""
    guesses = [
        Guess(kind, len(used & set(names)), len(used)) for kind in KINDS.values() for used in [_metrics_of(kind)]
    ]
    found = sorted((each for each in guesses if each.found), key=lambda each: (-each.found / each.used, -each.found))
    specific = [each for each in found if not _is_shared(each, names)]
    return [each for each in specific if not each.kind.is_runtime] or specific or found


def _is_shared(guess: Guess, names: Collection[str]) -> bool:
    """Return whether only metrics of the process are there, which all client libraries have."""
    return all(name.startswith("process_") for name in _metrics_of(guess.kind) & set(names))


def presence_query(target: Target) -> str:
    """Return a query (beyond the embedded subset) for the number of the target's series of its kind; empty if none."""
    names = "|".join(sorted(metrics_of(target.kind))) or ".+"
    matchers = ", ".join([f'__name__=~"{names}"', *matchers_of(target)])
    return f"count({{{matchers}}})"
