"""The knee of a ramp: the load up to which throughput grew with the users, and what came after. A pure function."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One interval of a ramp: users, successful requests per second, p95 in seconds, failures per second."""

    users: float
    rps: float
    p95_s: float | None
    failures_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Knee:
    """Up to `users` throughput grew with the load. From there to the end of the ramp the users became
    `load_growth` times as many, throughput `throughput_growth` and the p95 `latency_growth` times as much."""

    users: float
    rps: float
    p95_s: float
    load_growth: float
    throughput_growth: float
    latency_growth: float


_MIN_POINTS = 8
_ENOUGH_LOAD_GROWTH = 1.3
_FLAT_SHARE = 0.5


def find_knee(points: Sequence[LoadPoint]) -> Knee | None:
    """Where two straight lines, the second one with less than half of the first one's slope, fit throughput over users
    best (least squares over every possible corner, as in segmented regression). None when the ramp has too few points
    (8), or when throughput grew with the load to the end, or the load hardly grew after the corner.
    """
    usable = sorted((point for point in points if point.users > 0 and point.p95_s is not None), key=lambda p: p.users)
    if len(usable) < _MIN_POINTS:
        return None
    best: tuple[float, int, float, float] | None = None
    for corner in range(3, len(usable) - 3):
        x = usable[corner].users
        first = _slope_through_origin(usable[: corner + 1])
        y = first * x
        second = _slope_from(usable[corner:], x, y)
        error = sum((point.rps - first * point.users) ** 2 for point in usable[: corner + 1])
        error += sum((point.rps - y - second * (point.users - x)) ** 2 for point in usable[corner + 1 :])
        if best is None or error < best[0]:
            best = (error, corner, first, second)
    assert best is not None
    _, corner, first, second = best
    if first <= 0 or second > _FLAT_SHARE * first:
        return None
    at, tail = usable[corner], usable[-3:]
    end_users = sum(point.users for point in tail) / len(tail)
    if end_users < _ENOUGH_LOAD_GROWTH * at.users:
        return None
    before = [point.p95_s for point in usable[max(0, corner - 2) : corner + 1] if point.p95_s is not None]
    after = [point.p95_s for point in tail if point.p95_s is not None]
    p95_s = sorted(before)[len(before) // 2]
    rps = first * at.users
    return Knee(
        users=at.users,
        rps=rps,
        p95_s=p95_s,
        load_growth=end_users / at.users,
        throughput_growth=sum(point.rps for point in tail) / len(tail) / rps,
        latency_growth=sorted(after)[len(after) // 2] / p95_s,
    )


def _slope_through_origin(points: Sequence[LoadPoint]) -> float:
    """Without load there is no throughput, so the first line goes through the origin."""
    squares = sum(point.users**2 for point in points)
    return sum(point.users * point.rps for point in points) / squares if squares else 0.0


def _slope_from(points: Sequence[LoadPoint], x: float, y: float) -> float:
    squares = sum((point.users - x) ** 2 for point in points)
    return sum((point.users - x) * (point.rps - y) for point in points) / squares if squares else 0.0
