"""How throughput scales with the load: the Universal Scalability Law, and Little's law as a check of the data. Pure.

Gunther's law (2007, "Guerrilla Capacity Planning", chapter 4) for N concurrent users:

    X(N) = λ N / (1 + σ (N - 1) + κ N (N - 1))

λ is the throughput of one user, σ the contention (the share of the work that is serial), κ the coherency (the cost of
agreement between each two). It is fitted as N / X(N), which is linear in 1, N - 1 and N (N - 1), by least squares of
relative errors with coefficients of at least 0. Its uncertainty is that of the bootstrap over levels of load.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from obswarm.analysis.explain.timeline import LOOP_LAG, Timeline

_LEVELS = 30
"""Levels of load that the fit uses: the range of users is divided into this number of parts."""
_MIN_LEVELS = 8
_MIN_LOAD_GROWTH = 3.0
_RESAMPLES = 200
_SEED = 20_260_101
_INTERVAL = 0.9
_WORST_ERROR = 0.08
"""Root mean square of relative errors above which the law does not describe the data."""
_DECREASED = 0.95
"""Share of a predicted peak below which throughput has to be beyond it."""
_PASSED = 1.25
"""Multiple of a predicted peak that was tried: then the decrease has to be in the data."""
_BEYOND = 2.0
"""A peak is not predicted beyond this multiple of the highest load."""
_WIDEST = 1.0
"""Width of the interval of a prediction, relative to the prediction, above which there is none."""
_LITTLE_TOLERANCE = 0.15
_MIN_STEPS = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and the interval that contains it with a probability of 90 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scalability:
    """The fitted law. `peak_users` and `peak_rps` are None if the data do not show a peak, for the reason in
    `no_peak`; `limit_rps` is the throughput that contention alone would allow, λ/σ, None without contention."""

    rate_per_user: Estimate
    contention: Estimate
    coherency: Estimate
    limit_rps: Estimate | None
    peak_users: Estimate | None
    peak_rps: Estimate | None
    no_peak: str = ""

    def rps(self, users: float) -> float:
        """Return the throughput at a number of users."""
        return _throughput((self.rate_per_user.value, self.contention.value, self.coherency.value), users)


def levels_of(users: Sequence[float], throughput: Sequence[float]) -> list[tuple[float, float]]:
    """Return (users, successful requests per second), the means of each level of load, in ascending order."""
    pairs = [
        (one, other)
        for one, other in zip(users, throughput, strict=True)
        if one >= 1 and math.isfinite(other) and other > 0
    ]
    if not pairs:
        return []
    low, high = min(one for one, _ in pairs), max(one for one, _ in pairs)
    width = (high - low) / _LEVELS or 1.0
    levels: dict[int, list[tuple[float, float]]] = {}
    for one, other in pairs:
        levels.setdefault(min(int((one - low) / width), _LEVELS - 1), []).append((one, other))
    return [(fmean(one for one, _ in level), fmean(other for _, other in level)) for _, level in sorted(levels.items())]


def fit_scalability(levels: Sequence[tuple[float, float]]) -> Scalability | str:
    """Fit the law to (users, throughput), in ascending order of users; returns a reason if the data do not allow it."""
    if len(levels) < _MIN_LEVELS:
        seen = "one level" if len(levels) == 1 else f"{len(levels)} different levels"
        return f"the run has {seen} of load, and {_MIN_LEVELS} are needed"
    if levels[-1][0] < _MIN_LOAD_GROWTH * levels[0][0]:
        return (
            f"the load grew from {levels[0][0]:.0f} to {levels[-1][0]:.0f} users, less than {_MIN_LOAD_GROWTH:.0f}-fold"
        )
    law = _fit(levels)
    if law is None:
        return "throughput does not follow the number of users"
    draw = random.Random(_SEED)
    sampled = []
    for _ in range(_RESAMPLES):
        again = _fit(sorted(draw.choices(levels, k=len(levels))))
        if again is not None:
            sampled.append(again)
    if len(sampled) < _RESAMPLES / 2:
        return "throughput does not follow the number of users"
    error = math.sqrt(fmean((rps / _throughput(law, users) - 1) ** 2 for users, rps in levels))
    if error > _WORST_ERROR:
        return f"throughput does not follow the law, but differs from it by {error:.0%} on average"
    peak_users, peak_rps, no_peak = _peak(law, sampled, levels)
    limits = [rate / serial for rate, serial, _ in sampled if serial > 0]
    return Scalability(
        rate_per_user=_estimate(law[0], [each[0] for each in sampled]),
        contention=_estimate(law[1], [each[1] for each in sampled]),
        coherency=_estimate(law[2], [each[2] for each in sampled]),
        limit_rps=_estimate(law[0] / law[1], limits) if law[1] > 0 and len(limits) > len(sampled) / 2 else None,
        peak_users=peak_users,
        peak_rps=peak_rps,
        no_peak=no_peak,
    )


Law = tuple[float, float, float]
"""λ, σ and κ."""


def _throughput(law: Law, users: float) -> float:
    rate, contention, coherency = law
    return rate * users / (1 + contention * (users - 1) + coherency * users * (users - 1))


def _fit(levels: Sequence[tuple[float, float]]) -> Law | None:
    """Return the law with the smallest relative errors; None if there is none with a positive rate."""
    rows = []
    for users, rps in levels:
        # Errors of N / X relative to N / X.
        weight = rps / users
        rows.append((weight, weight * (users - 1), weight * users * (users - 1)))
    best: tuple[float, Law] | None = None
    # Non-negative least squares over three columns: one of the few sets of columns that are not 0 is the solution.
    for used in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        solution = _least_squares([[row[column] for column in used] for row in rows])
        if solution is None or min(solution) < 0 or solution[0] <= 0:
            continue
        whole = [0.0, 0.0, 0.0]
        for column, value in zip(used, solution, strict=True):
            whole[column] = value
        error = sum((1 - sum(a * b for a, b in zip(row, whole, strict=True))) ** 2 for row in rows)
        if best is None or error < best[0] * (1 - 1e-9):
            best = error, (1 / whole[0], whole[1] / whole[0], whole[2] / whole[0])
    return best[1] if best is not None else None


def _least_squares(rows: Sequence[Sequence[float]]) -> list[float] | None:
    """Return the coefficients for which the rows are closest to 1, by the normal equations; None if ambiguous."""
    count = len(rows[0])
    scales = [max(abs(row[column]) for row in rows) or 1.0 for column in range(count)]
    scaled = [[value / scale for value, scale in zip(row, scales, strict=True)] for row in rows]
    matrix = [
        [sum(row[one] * row[other] for row in scaled) for other in range(count)] + [sum(row[one] for row in scaled)]
        for one in range(count)
    ]
    for pivot in range(count):
        largest = max(range(pivot, count), key=lambda row: abs(matrix[row][pivot]))
        if abs(matrix[largest][pivot]) < 1e-12:
            return None
        matrix[pivot], matrix[largest] = matrix[largest], matrix[pivot]
        for row in range(count):
            if row != pivot:
                factor = matrix[row][pivot] / matrix[pivot][pivot]
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[pivot], strict=True)]
    return [matrix[row][count] / matrix[row][row] / scales[row] for row in range(count)]


def _peak(
    law: Law, sampled: Sequence[Law], levels: Sequence[tuple[float, float]]
) -> tuple[Estimate | None, Estimate | None, str]:
    peaks = [(users, _throughput(each, users)) for each in sampled if (users := _peak_users(each)) is not None]
    users = _peak_users(law)
    if users is None or len(peaks) < len(sampled) * _INTERVAL:
        return None, None, "throughput does not decrease within the loads that were tried"
    highest, last_rps = levels[-1][0], fmean(rps for _, rps in levels[-3:])
    if highest > _PASSED * users and last_rps > _DECREASED * _throughput(law, users):
        return None, None, "throughput stays level beyond its maximum"
    found = _estimate(users, [each for each, _ in peaks])
    if users > _BEYOND * highest:
        return None, None, f"a peak would be beyond twice the highest load of {highest:.0f} users"
    if found.high - found.low > _WIDEST * users:
        return None, None, f"the peak may be anywhere from {found.low:.0f} to {found.high:.0f} users"
    return found, _estimate(_throughput(law, users), [rps for _, rps in peaks]), ""


def _peak_users(law: Law) -> float | None:
    _, contention, coherency = law
    if coherency <= 0 or contention >= 1:
        return None
    return max(1.0, math.sqrt((1 - contention) / coherency))


def _estimate(value: float, sampled: Sequence[float]) -> Estimate:
    ordered = sorted(sampled)
    cut = (1 - _INTERVAL) / 2
    low, high = (ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (cut, 1 - cut))
    return Estimate(value, min(low, value), max(high, value))


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Little's law in the data: requests in flight = throughput × latency, and users = throughput × (latency + wait).

    `measured` and `expected` are the requests in flight; `is_consistent` is None if they were not stored. `waits_s` is
    the wait that follows for each user and request, at the first and at the last third of the run.
    """

    measured: float | None
    expected: float | None
    is_consistent: bool | None
    waits_s: tuple[float, float] | None


def check_little(timeline: Timeline) -> LittleCheck:
    """Compare what was measured with Little's law (1961, Operations Research 9).

    The time that all requests were in flight is the sum of the latencies of those that have finished, and the age of
    those that have not at the end, which is known to be below that of the oldest. Requests are counted at one moment of
    each step. If the load generator is late, it counts those, too, whose answers have come since: as many as come in
    its loop lag.
    """
    counted = [
        (in_flight, requests * mean_s if requests > 0 and math.isfinite(mean_s) else 0.0)
        for users, requests, mean_s, in_flight in zip(
            timeline.users, timeline.requests, timeline.mean_s, timeline.in_flight, strict=True
        )
        if users > 0 and math.isfinite(in_flight)
    ]
    measured = expected = None
    is_consistent = None
    if len(counted) >= _MIN_STEPS and any(finished for _, finished in counted):
        measured, expected = fmean(one for one, _ in counted), fmean(other for _, other in counted)
        # The number in flight is that of one moment of each step, so a small one is uncertain.
        tolerance = max(_LITTLE_TOLERANCE * max(measured, expected), 3 * math.sqrt(max(expected, 1) / len(counted)))
        more = tolerance + _counted_late(timeline) + _unfinished(timeline)
        is_consistent = expected - tolerance <= measured <= expected + more
    waits = [
        users / requests - mean_s
        for users, requests, mean_s in zip(timeline.users, timeline.requests, timeline.mean_s, strict=True)
        if requests > 0 and users > 0 and math.isfinite(mean_s)
    ]
    third = len(waits) // 3
    return LittleCheck(
        measured,
        expected,
        is_consistent,
        (median(waits[:third]), median(waits[-third:])) if third >= _MIN_STEPS // 2 else None,
    )


def _counted_late(timeline: Timeline) -> float:
    """Return how many requests are in flight only since the load generator was late to read their answers."""
    lags = timeline.generator.get(LOOP_LAG)
    late = [
        requests * lag_s
        for requests, lag_s in zip(timeline.requests, lags if lags is not None else (), strict=lags is not None)
        if math.isfinite(lag_s)
    ]
    return fmean(late) if late else 0.0


def _unfinished(timeline: Timeline) -> float:
    """Return the largest number of requests in flight, on average, that the latencies do not have yet at the end."""
    last = timeline.in_flight[-1]
    if not timeline.oldest_s or not math.isfinite(last):
        return 0.0
    return last * timeline.oldest_s[-1] / (len(timeline) * timeline.step_s)
