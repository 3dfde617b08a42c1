"""When a run broke, as its users saw it: latency, errors, and the load at that time. Pure functions."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from obswarm.analysis.explain.onset import Onset, Segment, moment_of, noise_of, segments_of
from obswarm.analysis.explain.timeline import Timeline

_SLOWER = 2.0
"""Factor of the p95 from which a run counts as broken."""
_SLOWER_S = 0.005
"""By at least that many seconds."""
_FAILING = 0.01
_PLATEAU = math.log(1.5)
_PLATEAU_S = 5.0
_MUCH_WORSE = math.log(3.0)
"""A latency that doubles for some seconds and then rises by this factor: the second rise is the onset."""
_LEAST_NOISE = 0.1
"""Smallest noise of the logarithm of a latency, and of the square root of a share, that is assumed."""
_LEAST_NOISE_OF_SHARES = 0.02
_LASTING_S = 3.0
_SHORTEST_S = 4.0
_BASE_SHARE = 0.1
"""A level is one of comparison if it lasts as long, and for that share of the time so far: with the first users, p95 is
lower for lack of requests."""
_MIN_BEFORE = 5
"""Steps of the level before a change that are needed to date it."""
WINDOW_S = 30.0
"""Seconds before and after a moment from which the values in sentences are taken."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What users noticed: `what` rose from `before` to `after`, a latency in seconds or a share of requests, with some
    number of users: medians of up to WINDOW_S seconds before it, and of it. `before` is NaN if it was so from the
    start. It lasted until `end_s`, infinite if it lasted to the end of the run. `rate` is that of the open model's
    iterations, per second; `dropped` is the share of them that did not start since all users were busy."""

    what: Literal["p95", "errors", "dropped"]
    onset: Onset
    before: float
    after: float
    users: float
    end_s: float = math.inf
    rate: float = 0.0


def symptoms_of(timeline: Timeline) -> list[Symptom]:
    """Return the symptoms of a run, the earliest first; none if latency and errors stayed as they were."""
    found = []
    latency = [math.log(value) if value > 0 else math.nan for value in timeline.p95_window_s]
    segments = _segments(latency, _LEAST_NOISE)
    for at in _lasting(segments, timeline, math.log(_SLOWER), _SLOWER_S):
        symptom = _symptom("p95", timeline, timeline.p95_window_s, latency, segments, *at)
        # The lowest level of some seconds may have been so by chance; what is stated has to be true within the noise.
        if not symptom.after * math.exp(_LEAST_NOISE) < max(_SLOWER * symptom.before, symptom.before + _SLOWER_S):
            found.append(symptom)
            break
    found += _shares_of(timeline, "errors", timeline.errors)
    if timeline.model != "closed":
        found += _shares_of(timeline, "dropped", timeline.dropped)
    return sorted(found, key=lambda each: each.onset.time_s)


def _shares_of(timeline: Timeline, what: Literal["errors", "dropped"], values: Sequence[float]) -> Iterator[Symptom]:
    """Yield the symptom that a share reached _FAILING, if it did."""
    # The square root of a share has about the same noise at every level.
    shares = [math.sqrt(value) if value >= 0 else math.nan for value in values]
    segments = _segments(shares, _LEAST_NOISE_OF_SHARES)
    limit = math.sqrt(_FAILING)
    for position, segment in enumerate(segments):
        if segment.level >= limit and _length_s(timeline, segments, position, limit) >= _LASTING_S:
            yield _symptom(what, timeline, values, shares, segments, position, _end_of(segments, position, limit))
            return


def _segments(values: Sequence[float], least_noise: float) -> list[Segment]:
    """Return the segments of a series whose noise is that of its calmer half: what comes later may be an incident."""
    known = [value for value in values if math.isfinite(value)]
    noise = min(noise_of(known), noise_of(known[: len(known) // 2]))
    return segments_of(values, max(noise, least_noise))


def _lasting(segments: Sequence[Segment], timeline: Timeline, by: float, by_s: float) -> Iterator[tuple[int, int]]:
    """Yield the segments whose level is above an earlier one by that much and remains so, each with the step at which
    it no longer does."""
    for position, segment in enumerate(segments):
        lowest = min(
            (
                each.level
                for each in segments[:position]
                if (each.end - each.begin) >= max(_SHORTEST_S / timeline.step_s, _BASE_SHARE * segment.begin)
            ),
            default=math.inf,
        )
        limit = max(lowest + by, math.log(math.exp(lowest) + by_s)) if math.isfinite(lowest) else math.inf
        if segment.level >= limit and _length_s(timeline, segments, position, limit) >= _LASTING_S:
            yield _worse(segments, position, timeline), _end_of(segments, position, limit)


def _worse(segments: Sequence[Segment], position: int, timeline: Timeline) -> int:
    """Return the segment after that one from which it became much worse, after it had been the same for some time; that
    one if there is none."""
    first = segments[position]
    for number in range(position + 1, len(segments)):
        before, segment = segments[number - 1], segments[number]
        if before.level > first.level + _PLATEAU:
            return position
        is_long = (segment.begin - first.begin) * timeline.step_s >= _PLATEAU_S
        if is_long and segment.level >= first.level + _MUCH_WORSE:
            return _worse(segments, number, timeline)
    return position


def _length_s(timeline: Timeline, segments: Sequence[Segment], position: int, limit: float) -> float:
    """Return how long the level is not below the limit from that segment on, in seconds."""
    return (_end_of(segments, position, limit) - segments[position].begin) * timeline.step_s


def _end_of(segments: Sequence[Segment], position: int, limit: float) -> int:
    """Return the step at which the level falls below the limit, after that segment."""
    end = segments[position].begin
    for segment in segments[position:]:
        if segment.level < limit:
            break
        end = segment.end
    return end


def _symptom(
    what: Literal["p95", "errors", "dropped"],
    timeline: Timeline,
    shown: Sequence[float],
    judged: Sequence[float],
    segments: Sequence[Segment],
    position: int,
    end: int,
) -> Symptom:
    if position:
        onset = onset_at(timeline, judged[:end], segments, position)
    else:
        start_s = timeline.times_s[0]
        onset = Onset(start_s, start_s, start_s, start_s)
    end_s = timeline.times_s[end] if end < len(timeline) else math.inf
    before, after = around(timeline.times_s, shown, onset, end_s)
    at = next((step for step, time_s in enumerate(timeline.times_s) if time_s >= onset.time_s), len(timeline) - 1)
    rate = timeline.rates[at] if timeline.model != "closed" else 0.0
    return Symptom(what, onset, before, after, timeline.users[at], end_s, rate)


def onset_at(timeline: Timeline, values: Sequence[float], segments: Sequence[Segment], position: int) -> Onset:
    """Return the moment at which the change to that segment began, by the values around it."""
    steps = max(1, round(2 * WINDOW_S / timeline.step_s))
    near = segments[position].begin
    begin = max(segments[position - 1].begin if position else 0, near - steps)
    end = min(max(segments[position].end, near + round(WINDOW_S / 2 / timeline.step_s)), near + steps, len(values))
    if near - begin < _MIN_BEFORE and position > 1:
        begin = max(segments[position - 2].begin, near - steps)
    return moment_of(values, timeline.times_s, begin, near, end)


def around(
    times_s: Sequence[float], values: Sequence[float], onset: Onset, end_s: float = math.inf
) -> tuple[float, float]:
    """Return the medians of the values in up to WINDOW_S seconds before the onset, and from the moment on at which the
    new level holds, until `end_s` at most; NaN for none."""
    before = [
        value
        for time_s, value in zip(times_s, values, strict=True)
        if onset.time_s - WINDOW_S <= time_s < onset.time_s and math.isfinite(value)
    ]
    after = [
        value
        for time_s, value in zip(times_s, values, strict=True)
        if onset.settled_s <= time_s < min(onset.settled_s + WINDOW_S, end_s) and math.isfinite(value)
    ]
    return (median(before) if before else math.nan), (median(after) if after else math.nan)
