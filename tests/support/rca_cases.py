"""Incidents with a known cause, simulated and recorded, for rankings of root causes and what makes them harder."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from obswarm.record import MetricKey, RunRecord, SampleSeries
from tests.support import incidents
from tests.support.incidents import Incident, System
from tests.support.rca_score import is_incident
from tests.support.recordings import load_recording, recording_paths

_SIMULATED: Mapping[Callable[[float], System], tuple[set[str], float]] = {
    # Of ramps, the moment at which what the users ask for is the capacity of the narrowest part.
    incidents.database_lock: ({"db"}, 60.0),
    incidents.pool_exhausted: ({"pgbouncer"}, 36.0),
    incidents.cpu_limit: ({"containers"}, 29.0),
    incidents.machine_cpu: ({"node"}, 37.0),
    incidents.cluster_lost: ({"uwsgi b", "haproxy"}, 60.0),
    incidents.chatty_endpoint: ({"db"}, 50.0),
    incidents.overload: ({"uwsgi a", "uwsgi b"}, 53.0),
    incidents.slow_database: ({"db"}, 37.0),
}
_SEEDS = (11, 12)


@dataclass(frozen=True)
class Case:
    """A run with its true causes, any of which is right, and the second at which the fault began."""

    name: str
    record: RunRecord
    truth: frozenset[str]
    fault_s: float


@cache
def simulated_cases() -> tuple[Case, ...]:
    return tuple(
        Case(f"{at.__name__} {seed}", Incident(at, seed=seed).record(), frozenset(truth), fault_s)
        for at, (truth, fault_s) in _SIMULATED.items()
        for seed in _SEEDS
    )


@cache
def recorded_cases() -> tuple[Case, ...]:
    """Those of the recordings that users noticed."""
    return tuple(
        Case(each.name, each.explain_input, each.truth, each.fault_on_s)
        for each in map(load_recording, recording_paths())
        if is_incident(each) and each.fault_on_s is not None
    )


# What makes them harder. Each returns the run, changed.
Change = Callable[[Case], RunRecord]


def dropped(case: Case) -> RunRecord:
    """A fifth of all samples is missing: what changed then is seen a second later, unless that is missing, too."""
    chance = random.Random(1)

    def thinned(_: MetricKey, points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
        for (time_s, value), (next_s, _) in zip(points, [*points[1:], (math.inf, 0.0)], strict=True):
            seen_s = time_s
            while chance.random() < 0.2:
                seen_s += 1
            if seen_s < next_s:
                yield seen_s, value

    return _each(case.record, thinned)


def skewed(case: Case) -> RunRecord:
    """The clocks of the targets are two seconds ahead or behind."""
    targets = sorted({key.target for key in case.record.samples})

    def moved(key: MetricKey, points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
        by_s = 2.0 if targets.index(key.target) % 2 else -2.0
        return [(time_s + by_s, value) for time_s, value in points]

    return _each(case.record, moved)


def with_noise(case: Case) -> RunRecord:
    """There are 1,000 series of other exporters that have nothing to do with it."""
    seconds = round(case.record.intervals[-1].elapsed_s)
    start_s = case.record.intervals[0].time_s - case.record.intervals[0].elapsed_s
    chance = random.Random(2)
    noise = {
        MetricKey(f"other {number // 50}", "other", f"series {number}", "number"): SampleSeries.of(
            (start_s + second + 1, value) for second, value in enumerate(_unrelated(chance, number % 4, seconds))
        )
        for number in range(1000)
    }
    return replace(case.record, samples={**case.record.samples, **noise})


def restarted(case: Case) -> RunRecord:
    """A target that is not the cause restarts some time before the fault: it is gone for 3 s."""
    others = sorted({key.target for key in case.record.samples} - case.truth)
    which = others[len(case.name) % len(others)]
    start_s = case.record.intervals[0].time_s - case.record.intervals[0].elapsed_s
    begin_s = start_s + case.fault_s * 0.6

    def cut(key: MetricKey, points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
        if key.target != which:
            return points
        before = [point for point in points if point[0] < begin_s]
        after = [point for point in points if point[0] >= begin_s + 3]
        back = [(begin_s + 3, before[-1][1])] if before else []
        return [*before, (begin_s, math.nan), *(point for point in back if not after or point[0] < after[0][0]), *after]

    return _each(case.record, cut)


CHANGES: tuple[Change, ...] = (dropped, skewed, with_noise, restarted)


def _each(
    record: RunRecord,
    change: Callable[[MetricKey, Sequence[tuple[float, float]]], Iterable[tuple[float, float]]],
) -> RunRecord:
    return replace(
        record, samples={key: SampleSeries.of(change(key, points)) for key, points in record.samples.items()}
    )


def _unrelated(chance: random.Random, what: int, seconds: int) -> Iterator[float]:
    """Noise, a random walk, waves, or rare peaks."""
    value, phase = 10.0, chance.uniform(0, 6)
    for second in range(seconds):
        if what == 0:
            yield 10 + chance.gauss(0, 3)
        elif what == 1:
            value += chance.gauss(0, 0.5)
            yield value
        elif what == 2:
            yield 10 + 5 * math.sin(second / 7 + phase)
        else:
            yield 100.0 if chance.random() < 0.03 else 1.0
