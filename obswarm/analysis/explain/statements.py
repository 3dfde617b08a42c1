"""Which statements of a database take more time since a run broke, and the endpoints that go with them. Pure
functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import StatisticsError, correlation

from obswarm.analysis.explain.departure import ranks
from obswarm.analysis.explain.onset import filled
from obswarm.analysis.explain.symptom import Symptom, around
from obswarm.analysis.explain.timeline import EndpointTimeline, Timeline
from obswarm.record import MetricKey
from obswarm.stats import EndpointKey
from obswarm.targets import is_statement

_MORE = 1.5
_LEAST_S = 0.02
"""Seconds per second by which the time of a statement has to rise."""
_WINDOW_S = 15.0
"""Window of the mean of a statement's time."""
_TOGETHER = 0.7
"""Rank correlation from which an endpoint is named."""


@dataclass(frozen=True, slots=True)
class StatementChange:
    """A kind of statement that takes more time since the first symptom: `before` and `after` are medians of up to 30 s
    before and after it, in seconds per second; `share` is that of all observed statements' time after it. `endpoint` is
    the one whose time in requests has the highest rank `correlation` with it, None if none is above 0.7."""

    key: MetricKey
    before: float
    after: float
    share: float
    endpoint: EndpointKey | None
    correlation: float


def statements_of(timeline: Timeline, symptom: Symptom) -> list[StatementChange]:
    """Return the statements whose time rose 1.5-fold at the first symptom, those that rose most first."""
    changes = []
    levels = {
        key: around(timeline.times_s, values, symptom.onset)
        for key, values in timeline.targets.items()
        if is_statement(key)
    }
    for key, (before, after) in levels.items():
        known_before = before if math.isfinite(before) else 0.0
        if not math.isfinite(after) or after < known_before + _LEAST_S or after < _MORE * known_before:
            continue
        whole = sum(each for other, (_, each) in levels.items() if other.target == key.target and math.isfinite(each))
        endpoint, together = _endpoint_of(timeline, key)
        changes.append(StatementChange(key, known_before, after, after / whole, endpoint, together))
    return sorted(changes, key=lambda each: each.before - each.after)


def _endpoint_of(timeline: Timeline, key: MetricKey) -> tuple[EndpointKey | None, float]:
    values = timeline.targets[key]
    known = [step for step, value in enumerate(values) if math.isfinite(value)]
    best: tuple[EndpointKey | None, float] = (None, 0.0)
    for endpoint, series in timeline.endpoints.items():
        in_requests = _means(_time_in(series), max(1, round(_WINDOW_S / timeline.step_s)))
        try:
            together = correlation(
                ranks([values[step] for step in known]), ranks([in_requests[step] for step in known])
            )
        except StatisticsError:
            # Too few values, or constant ones.
            continue
        if together > max(best[1], _TOGETHER):
            best = endpoint, together
    return best


def _time_in(series: EndpointTimeline) -> list[float]:
    """Return the seconds per second that all requests of an endpoint take together."""
    means = filled(series.mean_s)
    return [rate * mean if math.isfinite(mean) else 0.0 for rate, mean in zip(series.requests, means, strict=True)]


def _means(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of the last `window` values at each step."""
    sums = [0.0, *accumulate(values)]
    return [(sums[end] - sums[max(0, end - window)]) / min(end, window) for end in range(1, len(sums))]
