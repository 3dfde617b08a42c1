"""Which endpoints suffer, and which may have caused it. Pure functions."""

import math
from dataclasses import dataclass

from obswarm.analysis.explain.departure import Reference
from obswarm.analysis.explain.onset import Onset, segments_of
from obswarm.analysis.explain.symptom import Symptom, around, onset_at
from obswarm.analysis.explain.timeline import EndpointTimeline, Timeline, Values
from obswarm.stats import EndpointKey

_MIN_SLOWDOWN = 1.5
_FIRST_S = 2.0
"""Seconds by which an endpoint has to be slower before all others."""
_MIN_REQUESTS = 20
_MORE = 1.3
"""Factor of an endpoint's requests, relative to the load, from which they are more than before."""
_LEAST_SHARE = 0.005
"""Smallest share of all requests; endpoints with fewer are ignored."""


@dataclass(frozen=True, slots=True)
class EndpointEffect:
    """An endpoint that suffers: its mean response time in seconds, medians of up to 30 s before and after its own
    onset, and the share of its requests that failed after it."""

    key: EndpointKey
    onset: Onset
    before_s: float
    after_s: float
    failed: float
    is_first: bool = False
    """Whether it was slower surely before all others."""

    @property
    def slowdown(self) -> float:
        return self.after_s / self.before_s if self.before_s > 0 else math.inf


@dataclass(frozen=True, slots=True)
class EndpointCause:
    """An endpoint whose requests per second rose more than the load, before the symptom or with it: medians of up to
    30 s before and after the onset."""

    key: EndpointKey
    onset: Onset
    before: float
    after: float


def effects_of(timeline: Timeline, symptom: Symptom) -> list[EndpointEffect]:
    """Return the endpoints that became slower around the symptom, the most affected first."""
    found = [
        effect
        for key, endpoint in timeline.endpoints.items()
        if sum(endpoint.requests) * timeline.step_s >= _MIN_REQUESTS
        and (effect := _effect(timeline, symptom, key, endpoint)) is not None
    ]
    if len(found) > 1:
        first, second = sorted(found, key=lambda each: each.onset.time_s)[:2]
        if first.onset.high_s + _FIRST_S <= second.onset.low_s:
            found[found.index(first)] = EndpointEffect(
                first.key, first.onset, first.before_s, first.after_s, first.failed, is_first=True
            )
    return sorted(found, key=lambda each: -each.slowdown)


def _effect(
    timeline: Timeline, symptom: Symptom, key: EndpointKey, endpoint: EndpointTimeline
) -> EndpointEffect | None:
    logs = [math.log(value) if value > 0 else math.nan for value in endpoint.mean_s]
    segments = segments_of(logs)
    for position, segment in enumerate(segments):
        earlier = [each.level for each in segments[:position]]
        if not earlier or segment.level < min(earlier) + math.log(_MIN_SLOWDOWN):
            continue
        if timeline.times_s[segment.end - 1] < symptom.onset.low_s:
            # It was slow for a while, long before.
            continue
        onset = onset_at(timeline, logs, segments, position)
        before_s, after_s = around(timeline.times_s, endpoint.mean_s, onset)
        requests = _sum_from(timeline, endpoint.counts, onset)
        failed = _sum_from(timeline, endpoint.failed, onset) / requests if requests else 0.0
        if after_s >= _MIN_SLOWDOWN * before_s:
            return EndpointEffect(key, onset, before_s, after_s, failed)
    return None


def _sum_from(timeline: Timeline, values: Values, onset: Onset) -> float:
    return sum(
        value
        for time_s, value in zip(timeline.times_s, values, strict=True)
        if time_s >= onset.time_s and math.isfinite(value)
    )


def causes_of(timeline: Timeline, symptom: Symptom) -> list[EndpointCause]:
    """Return the endpoints whose requests rose more than the load before the symptom, the earliest first."""
    reference = Reference(timeline, symptom.onset)
    found = []
    for key, endpoint in timeline.endpoints.items():
        departure = reference.departure_of(endpoint.requests, 0.0, downwards=False)
        if departure is None or departure.ratio < _MORE or symptom.onset.before(departure.onset):
            continue
        if departure.after < _LEAST_SHARE * around(timeline.times_s, timeline.requests, departure.onset)[1]:
            continue
        found.append(EndpointCause(key, departure.onset, departure.before, departure.after))
    return sorted(found, key=lambda each: each.onset.time_s)
