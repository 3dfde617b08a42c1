"""The numbers of the headline and of the load (knee, Universal Scalability Law) are recomputed here from the raw
intervals, by other methods: fits by regression of `statistics` and by orthogonalization, and a bootstrap of their own.
Intervals of the law are estimates of a random method, so those of both have to agree by and large."""

import math
import random
import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from statistics import fmean, linear_regression, median

import pytest

from obswarm.analysis.explain import Explanation, explain, headline
from obswarm.analysis.explain.scalability import Estimate, Scalability
from obswarm.analysis.explain.sentences import load_sentences
from obswarm.record import LOADED_STATES, Interval, RunRecord
from obswarm.targets import KINDS
from obswarm.units import format_clock, format_count, format_latency, format_percent, format_rate
from tests.analysis.explain.test_open_model import opened
from tests.support.incidents import (
    Incident,
    cpu_limit,
    generator_saturated,
    healthy,
    machine_cpu,
    overload,
    pool_exhausted,
)
from tests.support.rca_cases import recorded_cases
from tests.support.recordings import HEALTHY, load_recording, recording_paths

RAMPS = {
    f"{at.__name__} {seed}": (at, seed)
    for at in (overload, pool_exhausted, cpu_limit, machine_cpu)
    for seed in (11, 12)
}
each_ramp = pytest.mark.parametrize("name", RAMPS)


@cache
def record_of(name: str) -> RunRecord:
    at, seed = RAMPS[name]
    return Incident(at, seed=seed).record()


@cache
def explained(name: str) -> Explanation:
    return explain(record_of(name))


def loaded(record: RunRecord) -> list[Interval]:
    return [each for each in record.intervals if each.state in LOADED_STATES and each.interval_s > 0]


def throughput(interval: Interval) -> float:
    total = interval.total()
    return (total.requests - total.failures) / interval.interval_s


def users_of(interval: Interval) -> float:
    return float(sum(interval.users.values()))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through the origin; 0 if there are no other points."""
    if not any(x for x, _ in points):
        return 0.0
    return linear_regression(*zip(*points, strict=True), proportional=True).slope


def knee_sentence(record: RunRecord, load: Sequence[float], unit: str, what: str) -> str:
    """The sentence of the corner with the smallest sum of squares; runs here are too short to be averaged."""
    seen = [
        (users, throughput(each), p95_s)
        for users, each in zip(load, loaded(record), strict=True)
        if users > 0 and (p95_s := each.total().quantile(0.95)) is not None
    ]
    points = sorted(seen, key=lambda each: each[0])
    best = (math.inf, 0, 0.0)
    for corner in range(3, len(points) - 3):
        x = points[corner][0]
        first = slope([(users, rps) for users, rps, _ in points[: corner + 1]])
        second = slope([(users - x, rps - first * x) for users, rps, _ in points[corner:]])
        error = sum((rps - first * users) ** 2 for users, rps, _ in points[: corner + 1])
        error += sum((rps - first * x - second * (users - x)) ** 2 for users, rps, _ in points[corner + 1 :])
        best = min(best, (error, corner, first))
    _, corner, first = best
    x = points[corner][0]
    p95_s = median(p95_s for *_, p95_s in points[corner - 2 : corner + 1])
    last_users, last_rps = (fmean(each[column] for each in points[-3:]) for column in (0, 1))
    return (
        f"Knee: throughput followed the load up to {format_count(x)} {unit} and {format_rate(first * x)}, with a p95 of"
        f" {format_latency(p95_s)}; {last_users / x:.1f} times the {what} then made {last_rps / (first * x):.2f} times the"
        " throughput."
    )


@each_ramp
def test_the_numbers_of_the_knee_are_those_of_the_raw_intervals(name: str) -> None:
    record = record_of(name)
    (text,) = [each for each in load_sentences(explained(name)) if each.startswith("Knee")]
    assert text == knee_sentence(record, [users_of(each) for each in loaded(record)], "users", "users")


@pytest.mark.parametrize("name", [name for name in RAMPS if name.startswith("overload")])
def test_the_numbers_of_the_knee_of_the_open_model_are_those_of_its_rates(name: str) -> None:
    record = opened(record_of(name))
    (text,) = [each for each in load_sentences(explain(record)) if each.startswith("Knee")]
    rates = [sum(each.rates_target.values()) for each in loaded(record)]
    assert text == knee_sentence(record, rates, "iterations/s", "iterations")


Law = tuple[float, float, float]


def levels(record: RunRecord) -> list[tuple[float, float]]:
    """Means of users and throughput in each thirtieth of the range of users."""
    pairs = [(users_of(each), throughput(each)) for each in loaded(record)]
    pairs = [(users, rps) for users, rps in pairs if users >= 1 and rps > 0]
    low, high = min(pairs)[0], max(pairs)[0]
    parts: dict[int, list[tuple[float, float]]] = {}
    for users, rps in pairs:
        parts.setdefault(min(int((users - low) / ((high - low) / 30)), 29), []).append((users, rps))
    return [(fmean(users for users, _ in part), fmean(rps for _, rps in part)) for _, part in sorted(parts.items())]


def fitted(points: Sequence[tuple[float, float]]) -> Law | None:
    """λ, σ and κ by Gram and Schmidt's orthogonalization, for every set of columns; the best one without a negative."""
    columns = [
        [rps / users for users, rps in points],
        [rps / users * (users - 1) for users, rps in points],
        [rps * (users - 1) for users, rps in points],
    ]
    found = []
    for size in (1, 2, 3):
        for used in combinations(range(3), size):
            if 0 in used and (coefficients := projected([columns[each] for each in used])) is not None:
                whole = dict(zip(used, coefficients, strict=True))
                if min(coefficients) >= 0 and whole[0] > 0:
                    sums = [sum(whole[each] * columns[each][at] for each in used) for at in range(len(points))]
                    error = sum((1 - value) ** 2 for value in sums)
                    found.append((error, (1 / whole[0], whole.get(1, 0) / whole[0], whole.get(2, 0) / whole[0])))
    return min(found)[1] if found else None


def projected(columns: Sequence[Sequence[float]]) -> list[float] | None:
    """The coefficients with which the sum of the columns is nearest to 1 everywhere."""
    bases: list[list[float]] = []
    parts: list[list[float]] = []
    for column in columns:
        rest = list(column)
        shares = []
        # Twice, so that rounding does not matter.
        for turn in range(2):
            for at, base in enumerate(bases):
                share = sum(one * other for one, other in zip(rest, base, strict=True))
                rest = [one - share * other for one, other in zip(rest, base, strict=True)]
                if turn:
                    shares[at] += share
                else:
                    shares.append(share)
        length = math.hypot(*rest)
        if length <= 1e-9 * math.hypot(*column):
            return None
        bases.append([each / length for each in rest])
        parts.append([*shares, length])
    goals = [sum(base) for base in bases]
    coefficients = [0.0] * len(columns)
    for at in reversed(range(len(columns))):
        above = sum(parts[other][at] * coefficients[other] for other in range(at + 1, len(columns)))
        coefficients[at] = (goals[at] - above) / parts[at][at]
    return coefficients


def agree(estimate: Estimate, value: float, sampled: Sequence[float], scale: float) -> bool:
    """Whether the value is the same, and the interval that of another bootstrap, within a third of its width."""
    ordered = sorted(sampled)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    width = max(high - low, 0.02 * scale)
    same = math.isclose(estimate.value, value, rel_tol=1e-6, abs_tol=1e-9 * scale)
    return (
        same and abs(estimate.low - min(low, value)) < width / 3 and abs(estimate.high - max(high, value)) < width / 3
    )


@each_ramp
def test_the_numbers_of_the_law_are_those_of_the_raw_intervals(name: str) -> None:
    law = explained(name).scalability
    points = levels(record_of(name))
    found = fitted(points)
    assert found is not None
    rate, contention, coherency = found

    def rps_at(users: float, of: Law) -> float:
        return of[0] * users / (1 + of[1] * (users - 1) + of[2] * users * (users - 1))

    if isinstance(law, str):
        error = math.sqrt(fmean((rps / rps_at(users, found) - 1) ** 2 for users, rps in points))
        assert law.endswith(f" by {error:.0%} on average")
        return
    draw = random.Random(7)
    again = [each for _ in range(400) if (each := fitted(draw.choices(points, k=len(points)))) is not None]
    # What a coefficient means at the highest load.
    highest = points[-1][0]
    assert agree(law.rate_per_user, rate, [each[0] for each in again], rate)
    assert agree(law.contention, contention, [each[1] for each in again], 1 / highest)
    assert agree(law.coherency, coherency, [each[2] for each in again], 1 / highest**2)
    (text,) = [each for each in load_sentences(explained(name)) if each.startswith("Universal")]
    assert f"contention {contention:.3g} (" in text
    assert f"coherency {coherency:.3g} (" in text
    assert stated(text, "contention") == pytest.approx((law.contention.low, law.contention.high), rel=0.06)
    assert stated(text, "coherency") == pytest.approx((law.coherency.low, law.coherency.high), rel=0.06)
    if law.peak_users is None:
        assert "; no peak is predicted: " in text
        return
    peak = math.sqrt((1 - contention) / coherency)
    assert law.peak_rps is not None
    peaks = [math.sqrt((1 - each[1]) / each[2]) for each in again if each[2] > 0]
    assert agree(law.peak_users, peak, peaks, peak)
    users = f"{format_count(round(peak))} users"
    low, high = format_count(math.floor(law.peak_users.low)), format_count(math.ceil(law.peak_users.high))
    assert text.endswith(f"; peak of {format_rate(rps_at(peak, found))} at {users} ({low} to {high}).")


def stated(text: str, what: str) -> tuple[float, float]:
    found = re.search(rf"{what} \S+ \((\S+) to (\S+)\)", text)
    assert found is not None
    return float(found[1]), float(found[2])


def test_some_runs_have_a_law_and_some_a_peak() -> None:
    laws = [explained(name).scalability for name in RAMPS]
    assert sum(isinstance(each, Scalability) for each in laws) > 3
    assert sum(isinstance(each, Scalability) and each.peak_users is not None for each in laws) > 1


def test_the_load_of_the_headline_is_that_of_the_symptom() -> None:
    checked = 0
    for case in recorded_cases():
        found = explain(case.record)
        if not found.causes:
            continue
        onset_s = found.symptoms[0].onset.time_s
        at = next(each for each in loaded(case.record) if each.elapsed_s >= onset_s)
        stated_load = re.search(r" first, at ([\d,]+) users( and rising)?: ", headline(found))
        assert stated_load is not None, headline(found)
        assert stated_load[1] == format_count(users_of(at))
        begin_s = onset_s - max(5.0, onset_s / 4)
        before = [users_of(each) for each in loaded(case.record) if begin_s <= each.elapsed_s <= onset_s]
        assert bool(stated_load[2]) == (before[-1] >= 1.1 * max(before[0], 1))
        checked += 1
    assert checked > 40


def test_the_numbers_of_a_headline_without_a_cause_are_those_of_the_raw_series() -> None:
    checked = 0
    for path in recording_paths():
        recording = load_recording(path)
        if recording.fault != HEALTHY:
            continue
        record = recording.explain_input
        text = headline(explain(record))
        nothing = re.fullmatch(r"Nothing saturated: .* up to ([\d,]+) users\. .* was (.+): (.+), at most (\S+)\.", text)
        if nothing is None:
            # None of the metrics explains what users noticed.
            known = re.search(r"None of the ([\d,]+) metrics", text)
            assert known is not None, text
            assert int(known[1].replace(",", "")) == len(record.samples)
            continue
        assert nothing[1] == format_count(max(map(users_of, loaded(record))))
        shares = {
            (key.name, format_percent(highest_share(record, key.target, key.kind, key.name)))
            for key in record.samples
            if (metric := KINDS[key.kind].metric(key.name)) is not None and metric.limit is not None
        }
        assert (nothing[3], nothing[4]) in shares
        assert float(nothing[4].rstrip("%")) == max(float(share.rstrip("%")) for _, share in shares)
        checked += 1
    assert checked > 5


def highest_share(record: RunRecord, target: str, kind: str, name: str) -> float:
    """The highest share of its limit that a metric had at the end of a second with load."""
    metric = KINDS[kind].metric(name)
    assert metric is not None
    values = at_the_ends(record, target, name)
    limits = (
        [metric.limit] * len(values)
        if isinstance(metric.limit, float)
        else at_the_ends(record, target, str(metric.limit))
    )
    return max(value / limit for value, limit in zip(values, limits, strict=True) if limit)


def at_the_ends(record: RunRecord, target: str, name: str) -> list[float]:
    points = next(points for key, points in record.samples.items() if (key.target, key.name) == (target, name))
    found = []
    for interval in loaded(record):
        known = [value for time_s, value in points if time_s <= interval.time_s and math.isfinite(value)]
        found.append(known[-1] if known else math.nan)
    first = next(value for value in found if math.isfinite(value))
    return [value if math.isfinite(value) else first for value in found]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_moment_of_a_saturated_generator_is_that_of_the_first_interval_in_which_it_was(seed: int) -> None:
    record = Incident(generator_saturated, seed=seed).record()
    first = next(each for each in loaded(record) if any(worker.saturated for worker in each.workers.values()))
    assert headline(explain(record)).startswith(
        f"The load generator saturated first, at {format_clock(first.elapsed_s)}: "
    )


def test_littles_law_holds_in_recorded_runs() -> None:
    # A recording has all requests, so what is said against it would be wrong.
    records = [load_recording(path).explain_input for path in recording_paths()]
    wrong = [
        record.info.run_id
        for record in records
        if any(each.startswith("Little's law does not hold") for each in load_sentences(explain(record)))
    ]
    assert len(wrong) <= len(records) // 50, wrong


def test_a_run_that_is_too_short_says_its_length() -> None:
    record = Incident(healthy, seconds=9).record()
    assert f"it has {len(loaded(record))}s with load" in headline(explain(record))
