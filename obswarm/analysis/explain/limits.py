"""When a resource is used up: the share of its limit that it has, and the moment from which it has almost all of it.
Pure functions."""

import math
from array import array
from collections.abc import Iterator, Sequence

from obswarm.analysis.explain.departure import latest_s
from obswarm.analysis.explain.onset import Onset, despiked, filled, segments_of
from obswarm.analysis.explain.symptom import Symptom, around, onset_at
from obswarm.analysis.explain.timeline import Timeline, Values
from obswarm.record import MetricKey
from obswarm.targets import TargetMetric

AT_LIMIT = 0.9
"""Share of the limit from which a resource is taken to be used up."""
_LASTING_S = 3.0


def limit_reached(
    timeline: Timeline, key: MetricKey, values: Values, metric: TargetMetric | None, symptom: Symptom
) -> tuple[Onset, float, float] | None:
    """Return when a utilisation reached its limit, the share of it that is used from then on, and the limit; None if it
    did not."""
    if metric is None or metric.limit is None:
        return None
    shares = shares_of_limit(timeline, key, values, metric)
    if not shares:
        return None
    smooth = despiked(shares)
    lasting = max(1, round(_LASTING_S / timeline.step_s))
    for position, at in enumerate(_lasting(smooth, lasting)):
        if not at:
            continue
        time_s = timeline.times_s[position]
        if time_s > latest_s(symptom.onset):
            return None
        onset = _moment_at_limit(timeline, smooth, position)
        share = around(timeline.times_s, shares, onset)[1]
        if share < AT_LIMIT:
            return None
        after = around(timeline.times_s, values, onset)[1]
        return onset, share, after / share if share else math.nan
    return None


def _lasting(shares: Sequence[float], steps: int) -> Iterator[bool]:
    """Yield whether each value begins a time of that many steps at the limit."""
    for position in range(len(shares)):
        part = shares[position : position + steps]
        yield len(part) == steps and min(part) >= AT_LIMIT


def _moment_at_limit(timeline: Timeline, shares: Sequence[float], position: int) -> Onset:
    """Return the moment, and as its interval the time from 95 % of that share on, and until the change if it is one."""
    segments = segments_of(shares)
    number = next((each for each, segment in enumerate(segments) if segment.end > position), 0)
    if number and segments[number].begin >= position - 2 and segments[number - 1].level < AT_LIMIT / 2:
        # It came at once.
        return onset_at(timeline, shares, segments, number)
    begin = position
    while begin > 0 and shares[begin - 1] >= AT_LIMIT * 0.95:
        begin -= 1
    times_s = timeline.times_s
    low, high = max(0, min(begin, position - 1)), min(position + 1, len(times_s) - 1)
    return Onset(times_s[position], times_s[low], times_s[high], times_s[position])


def shares_of_limit(timeline: Timeline, key: MetricKey, values: Values, metric: TargetMetric) -> Values:
    """Return the share of its limit that a utilisation has at each step; empty if the limit is unknown."""
    known = filled(values)
    if not known or math.isnan(known[0]) or metric.limit is None:
        return array("d")
    if isinstance(metric.limit, float):
        return array("d", (value / metric.limit for value in known))
    name = metric.limit
    limits = next(
        (
            series
            for other, series in timeline.targets.items()
            if (other.target, other.kind, other.name) == (key.target, key.kind, name)
        ),
        None,
    )
    if limits is None:
        return array("d")
    highest = filled(limits)
    if not highest or math.isnan(highest[0]):
        return array("d")
    return array("d", (value / most if most > 0 else 0.0 for value, most in zip(known, highest, strict=True)))
