"""Time that requests spend between two components: what one waits for the other, and the other has not.

By Little's law, the mean number of threads that wait for a database is the sum of what its statements take as they see
it. The database's own sum of the same statements is smaller by what is between both: the network, connections, drivers.
Pure functions.
"""

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from obswarm.analysis.explain.departure import pearson
from obswarm.analysis.explain.onset import filled
from obswarm.analysis.explain.timeline import Timeline, Values
from obswarm.record import MetricKey
from obswarm.targets import TargetMetric

METRIC = TargetMetric(
    name="time on the way to the database per statement",
    query="sum(rate(app_db_query_duration_seconds_sum[15s]))",
    unit="seconds",
    meaning="saturation",
    part="network",
    next="the network between both: ping, retransmissions (ss -ti), a proxy; a connection for each statement",
)
"""The calculated metric, in the form of an exporter's; it has the window of the metrics from which it is made."""
_WAITING = "waiting for the database"
_EXECUTING = "statements executing"
_STATEMENTS = "queries"
_CLOCKS_S = 4.0
"""Largest assumed difference between the clocks of two targets, each of which may be off by 2 s."""
_BETTER = 0.005
"""Smallest gain of correlation from which the clocks are assumed to differ."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way from a target to a database: seconds for each statement, by the metrics of `waiting`, all that wait for
    the database, and of the database; `waited` is what all of them wait for a statement, on the way and there."""

    key: MetricKey
    values: Values
    waited: Values
    waiting: tuple[MetricKey, ...]
    executing: MetricKey
    statements: MetricKey


def ways_of(timeline: Timeline) -> Iterator[Way]:
    """Yield the way of each target that waits for the database, if there is one database whose metrics say how much it
    has executed. All of them have the same values: which one lost the time is not known."""
    waiting = tuple(key for key in timeline.targets if key.name == _WAITING)
    executing = [key for key in timeline.targets if key.name == _EXECUTING]
    if not waiting or len(executing) != 1:
        return
    database = executing[0]
    statements = MetricKey(database.target, database.kind, _STATEMENTS, "per_second")
    if statements not in timeline.targets:
        return
    most = round(_CLOCKS_S / timeline.step_s)
    busy, rates = timeline.targets[database], timeline.targets[statements]
    columns = zip(*(_aligned(timeline.targets[key], busy, most) for key in waiting), strict=True)
    waits = array("d", map(sum, columns))
    values = _per_statement(
        (max(0.0, wait - of_database) for wait, of_database in zip(waits, busy, strict=True)), rates
    )
    waited = _per_statement(waits, rates)
    for key in waiting:
        way = MetricKey(key.target, key.kind, METRIC.name, METRIC.unit)
        yield Way(way, values, waited, waiting, database, statements)


def _per_statement(times: Iterable[float], rates: Values) -> Values:
    return array("d", (time / rate if rate > 0 else math.nan for time, rate in zip(times, rates, strict=True)))


def _aligned(values: Values, other: Values, most: int) -> Values:
    """Return a series moved by as many steps as it goes best with the other one; the ends keep the next known value.

    Both are of the same statements, so their courses are alike, and the moment of the largest correlation is that of
    equal clocks.
    """
    if most < 1 or len(values) <= 2 * most:
        return values
    one, theirs = filled(values), filled(other)[most : len(other) - most]
    best, best_lag = -math.inf, 0
    for lag in sorted(range(-most, most + 1), key=abs):
        found = pearson(one[most + lag : len(one) - most + lag], theirs)
        if found > best + _BETTER:
            best, best_lag = found, lag
    if best_lag == 0:
        return values
    last = len(values) - 1
    return array("d", (values[min(max(at + best_lag, 0), last)] for at in range(len(values))))
