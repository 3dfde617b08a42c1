"""What is conspicuous in the series of a run's targets: departures from the load, limits that are reached, losses.

A finding has a strength from 0 to 1: the weight of its metric's meaning, times the size of the change, times its place
in time relative to the first symptom, times its correlation with the latency. docs/explain.md gives the factors.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from obswarm.analysis.explain.departure import Departure, Reference, latest_s
from obswarm.analysis.explain.limits import AT_LIMIT, limit_reached
from obswarm.analysis.explain.onset import Onset
from obswarm.analysis.explain.symptom import WINDOW_S, Symptom, around
from obswarm.analysis.explain.timeline import Timeline, Values
from obswarm.analysis.explain.way import METRIC, Way, ways_of
from obswarm.record import MetricKey
from obswarm.targets import Kind, Meaning, TargetMetric, is_statement

WEIGHTS: Mapping[Meaning, float] = {
    "saturation": 1.0,
    "errors": 0.9,
    "capacity": 1.0,
    "utilisation": 0.6,
    "duration": 0.5,
    "rate": 0.35,
    "level": 0.3,
}
"""Weight of a departure by meaning; a utilisation at its limit and lost capacity have 1."""

STRONG: frozenset[Meaning] = frozenset({"saturation", "errors", "capacity"})
"""Meanings whose departure can be a cause by itself; so is a utilisation at its limit."""

_FULL = 0.98
_LATER_S = 10.0
"""Seconds after the symptom in which the strength of a finding falls to 1/e."""
_HARMLESS_S = 30.0
"""A finding that began longer before the symptom than this is less likely to be its cause: its strength falls to 1/e
with each further period of this length."""
_STEADY_S = 5.0
"""The same for a limit that was reached under a constant load: queues fill within seconds."""
WINDOW_SHARE = 1 / 3
"""Of the window of a rate, which it may take until a change can be seen in it."""
_MATERIAL_RATIO = 0.3
_MATERIAL_WAITING = 0.05
_MATERIAL_TIME = 0.1
_MATERIAL_EVENTS = 0.1
_MATERIAL_ERRORS = 0.02
"""Changes that matter in full: of a share of time; of a number, as a share of the requests in flight; of a duration, as
a share of the mean response time; of events and of errors, for each request."""
_WAY_S = 0.002
_WAY_FACTOR = 4.0
_WAY_SHARE = 0.125
"""Time that a statement is on its way, from which it is too long: in three quarters of the seconds, since both sides
are not asked at the same moment; also as a share of what an application waits for it."""
_MOST_USED = 0.99
"""Share of its time from which a resource is not taken to be used more: the queue for it would be infinite."""
_GONE_S = 3.0
"""Seconds without any metric from which a target is gone."""


@dataclass(frozen=True, slots=True)
class Component:
    """A target, or a part of it at another layer; `layer` is one of obswarm.targets.LAYERS, empty if unknown."""

    target: str
    kind: str
    layer: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A conspicuous series. `how`: `departure` from the load, `limit` reached, `contention` for a resource whose queue
    is longer since it is busy for more of its time, capacity lost (`loss`), or a target without metrics from then on
    (`gone`), whose values are the number of its metrics.

    `before` and `after` are medians of its values in up to 30 s before and after the onset. `ratio` is the factor of
    the change, without the load's own effect, for `contention` that of the time that something takes which needs the
    resource; for `limit`, `limit` is the value of the limit after the onset.
    """

    key: MetricKey
    metric: TargetMetric | None
    component: Component
    how: Literal["departure", "limit", "contention", "loss", "gone"]
    onset: Onset
    before: float
    after: float
    ratio: float
    strength: float
    limit: float = math.nan
    correlation: float = 0.0
    lag_s: float = 0.0

    @property
    def meaning(self) -> Meaning:
        return self.metric.meaning if self.metric is not None else "level"

    @property
    def is_strong(self) -> bool:
        """Whether it can be a cause by itself."""
        return self.how != "departure" or self.meaning in STRONG

    @property
    def points_below(self) -> str:
        """The layer below whose state it shows, empty if it shows its own component's."""
        return self.metric.shows if self.metric is not None else ""


def findings_of(timeline: Timeline, symptom: Symptom, kinds: Mapping[str, Kind]) -> list[Finding]:
    """Return what is conspicuous around the first symptom, the strongest first."""
    reference = Reference(timeline, symptom.onset)
    found = []
    for key, values in timeline.targets.items():
        if is_statement(key):
            # Where a database's time goes, not whether it is used up.
            continue
        metric = kinds[key.kind].metric(key.name) if key.kind in kinds else None
        component = component_of(key, metric, kinds)
        departure = _departure(reference, values, metric)
        limit = limit_reached(timeline, key, values, metric, symptom)
        if limit is not None:
            onset, share, highest = limit
            before, after = around(timeline.times_s, values, onset)
            size = 0.5 + 0.5 * min(1.0, max(0.0, (share - AT_LIMIT) / (_FULL - AT_LIMIT)))
            harmless_s = _HARMLESS_S if timeline.is_rising(symptom.onset.time_s) else _STEADY_S
            window_s = metric.window_s if metric is not None else 0.0
            strength = size * _precedence(onset, symptom.onset, harmless_s, window_s)
            ratio = after / before if before > 0 else math.inf
            found.append(Finding(key, metric, component, "limit", onset, before, after, ratio, strength, highest))
        elif (contention := _contention(reference, key, values, metric, component, symptom)) is not None:
            found.append(contention)
        elif departure is not None:
            share = _materiality(timeline, key.unit, metric, departure)
            found.append(_of_departure(key, metric, component, departure, symptom, share))
    gone = list(_gone(timeline, symptom, kinds))
    found += gone
    for way in ways_of(timeline):
        # A database without metrics has not executed less.
        if not any(each.key.target == way.executing.target for each in gone):
            found += _lost_on_the_way(reference, way, symptom)
    return sorted((each for each in found if each.strength > 0), key=lambda each: -each.strength)


def waiting_of(timeline: Timeline, symptom: Symptom, kinds: Mapping[str, Kind]) -> dict[Component, float]:
    """Return by how much the number of those that wait in each component has grown at the symptom, by its metric that
    grew most; components without such metrics are not in it."""
    found: dict[Component, float] = {}
    for key, values in timeline.targets.items():
        metric = kinds[key.kind].metric(key.name) if key.kind in kinds else None
        if metric is None or metric.shows or (metric.meaning, metric.unit) != ("saturation", "number"):
            continue
        before, after = around(timeline.times_s, values, symptom.onset)
        component = component_of(key, metric, kinds)
        grown = after - (before if math.isfinite(before) else 0.0)
        if math.isfinite(grown):
            found[component] = max(found.get(component, 0.0), grown)
    return found


def _lost_on_the_way(reference: Reference, way: Way, symptom: Symptom) -> Iterator[Finding]:
    """Yield the finding that the way takes much longer, in most of the time after the symptom."""
    departure = reference.departure_of(way.values, METRIC.window_s, downwards=False)
    if departure is None:
        return
    times_s = reference.timeline.times_s
    later = [
        step
        for step, time_s in enumerate(times_s)
        if departure.onset.settled_s <= time_s < departure.onset.settled_s + WINDOW_S
        and math.isfinite(way.values[step])
    ]
    on_the_way, waited = (sorted(values[step] for step in later) for values in (way.values, way.waited))
    if not later or on_the_way[len(later) // 4] < max(_WAY_S, _WAY_FACTOR * departure.before):
        return
    if on_the_way[len(later) // 2] < _WAY_SHARE * waited[len(later) // 2]:
        return
    component = Component(way.key.target, way.key.kind, METRIC.part)
    yield _of_departure(way.key, METRIC, component, departure, symptom, 1.0)


def _gone(timeline: Timeline, symptom: Symptom, kinds: Mapping[str, Kind]) -> Iterator[Finding]:
    """Yield the targets that had metrics, and lost all of them around the symptom."""
    every_target: dict[tuple[str, str], list[tuple[float, Values]]] = {}
    for key, values in timeline.targets.items():
        metric = kinds[key.kind].metric(key.name) if key.kind in kinds else None
        window_s = metric.window_s if metric is not None else 0.0
        every_target.setdefault((key.target, key.kind), []).append((window_s, values))
    # Rates go on for as long as their window has values.
    targets = {
        target: [values for window_s, values in every if window_s == min(each for each, _ in every)]
        for target, every in every_target.items()
    }
    lasting = max(1, round(_GONE_S / timeline.step_s))
    for (target, kind), every in targets.items():
        longest_s = max(window_s for window_s, _ in every_target[target, kind])
        present = _present(every, len(timeline))
        for at in range(1, len(present) - lasting + 1):
            if not present[at - 1] or any(present[at : at + lasting]):
                continue
            later = at + round(longest_s / timeline.step_s) + 1
            if any(math.isfinite(value) for _, values in every_target[target, kind] for value in values[later:]):
                # A part of its metrics is still there.
                continue
            onset = Onset(*(timeline.times_s[step] for step in (at, at - 1, at, at)))
            if onset.low_s > latest_s(symptom.onset):
                break
            key = MetricKey(target, kind, "metrics", "number")
            strength = _precedence(onset, symptom.onset)
            component = component_of(key, None, kinds)
            before = float(present[at - 1])
            yield Finding(key, None, component, "gone", onset, before, 0.0, 0.0, strength)
            break


def _present(every: Sequence[Values], steps: int) -> list[int]:
    """Return how many of the series have a value at each step."""
    # A sum is finite if all values are, and most series have no gaps.
    with_gaps = [values for values in every if not math.isfinite(sum(values))]
    counts = [len(every) - len(with_gaps)] * steps
    for values in with_gaps:
        counts = [count + math.isfinite(value) for count, value in zip(counts, values, strict=True)]
    return counts


def component_of(key: MetricKey, metric: TargetMetric | None, kinds: Mapping[str, Kind]) -> Component:
    """Return the component to which a series belongs."""
    layer = kinds[key.kind].layer if key.kind in kinds else ""
    return Component(key.target, key.kind, metric.part or layer if metric is not None else layer)


def _departure(reference: Reference, values: Values, metric: TargetMetric | None) -> Departure | None:
    downwards = metric is not None and (metric.meaning == "capacity" or metric.worse == "low")
    return reference.departure_of(values, metric.window_s if metric is not None else 0.0, downwards=downwards)


def _of_departure(
    key: MetricKey,
    metric: TargetMetric | None,
    component: Component,
    departure: Departure,
    symptom: Symptom,
    materiality: float,
) -> Finding:
    meaning: Meaning = metric.meaning if metric is not None else "level"
    is_loss = meaning == "capacity"
    ratio = departure.ratio
    change = 1 / ratio if ratio < 1 else ratio
    # 2-fold counts 0.5, 10-fold 0.9.
    size = min(1.0, 2 * (1 - 1 / change)) if is_loss else (1 - 1 / change) * materiality
    precedence = _precedence(departure.onset, symptom.onset, window_s=metric.window_s if metric is not None else 0.0)
    together = 1.0 if is_loss else _together(departure)
    return Finding(
        key=key,
        metric=metric,
        component=component,
        how="loss" if is_loss else "departure",
        onset=departure.onset,
        before=departure.before,
        after=departure.after,
        ratio=ratio,
        strength=WEIGHTS[meaning] * max(0.0, size) * precedence * together,
        correlation=departure.correlation,
        lag_s=departure.lag_s,
    )


def _contention(
    reference: Reference,
    key: MetricKey,
    values: Values,
    metric: TargetMetric | None,
    component: Component,
    symptom: Symptom,
) -> Finding | None:
    """Return the finding that what needs a resource waits longer for it, since it is busy for more of its time.

    What takes a time T of a resource that is busy for the share u of its time takes T / (1 - u) with the time in its
    queue (M/M/1; Kleinrock, "Queueing Systems" 1975): from 70 % to 85 % it takes twice as long, from 10 % to 25 % a
    fifth more. With several servers it is less, so this is what can be explained by it at most. How much it matters is
    how much of the slowdown that would be.
    """
    timeline = reference.timeline
    if metric is None or metric.meaning != "utilisation" or key.unit != "ratio" or metric.limit != 1.0:
        # Slots that are held show what is waited for somewhere, not what the resource does.
        return None
    stretched = array("d", (1 / (1 - min(value, _MOST_USED)) for value in values))
    departure = reference.departure_of(stretched, metric.window_s, downwards=False)
    if departure is None:
        return None
    before_s, after_s = around(timeline.times_s, timeline.mean_s, symptom.onset)
    if not after_s > before_s:
        return None
    share = min(1.0, (departure.ratio - 1) / (after_s / before_s - 1))
    before, after = around(timeline.times_s, values, departure.onset)
    if not (math.isfinite(before) and math.isfinite(after)):
        return None
    return Finding(
        key=key,
        metric=metric,
        component=component,
        how="contention",
        onset=departure.onset,
        before=before,
        after=after,
        ratio=departure.ratio,
        strength=share * _precedence(departure.onset, symptom.onset, window_s=metric.window_s) * _together(departure),
        correlation=departure.correlation,
        lag_s=departure.lag_s,
    )


def _materiality(timeline: Timeline, unit: str, metric: TargetMetric | None, departure: Departure) -> float:
    """Return from 0 to 1 whether a change is large enough for what users noticed.

    By Little's law, what waits somewhere is a part of the requests in flight, and its share of them is its share of the
    response time; a time of its own is one of the response time, and events that happen to few requests slow few of
    them down.
    """
    change = abs(departure.after - departure.expected)
    is_error = metric is not None and metric.meaning == "errors"
    if unit == "ratio":
        return min(1.0, change / _MATERIAL_RATIO)
    series, least = {
        "number": (timeline.in_flight, _MATERIAL_WAITING),
        "seconds": (timeline.mean_s, _MATERIAL_TIME),
        "per_second": (timeline.requests, _MATERIAL_ERRORS if is_error else _MATERIAL_EVENTS),
    }.get(unit, (None, 0.0))
    if series is None:
        return 1.0
    whole = around(timeline.times_s, series, departure.onset)[1]
    return min(1.0, change / (least * whole)) if whole > 0 else 1.0


def _together(departure: Departure) -> float:
    """Return from 0.6 to 1 how much it goes with the latency."""
    return 0.6 + 0.4 * max(0.0, departure.correlation)


def _precedence(onset: Onset, symptom: Onset, harmless_s: float = _HARMLESS_S, window_s: float = 0.0) -> float:
    """Return 1 for what may have begun before the symptom; less the later it began, or the longer it did no harm. What
    is a mean over `window_s` seconds shows a change some time after it."""
    # What can be dated only roughly may have begun early, and probably has not.
    known_s = max(symptom.high_s, symptom.settled_s) + window_s * WINDOW_SHARE
    late_s = (max(0.0, onset.low_s - known_s) + max(0.0, onset.time_s - known_s)) / 2
    longer_s = max(0.0, symptom.low_s - onset.high_s - harmless_s)
    return math.exp(-late_s / _LATER_S - longer_s / harmless_s)
