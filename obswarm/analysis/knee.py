"""Find the knee of a ramp: the load up to which throughput grew with the number of users. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One interval of a ramp. `users` is the load, of the open model iterations per second; `rps` is successful
    requests per second, `p95_s` is in seconds."""

    users: float
    rps: float
    p95_s: float | None
    failures_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Knee:
    """The load up to which throughput grew with the number of users.

    The growths are the factors of users, throughput and p95 from there to the end of the ramp.
    """

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
    """Find the corner of two straight lines that fit throughput over users best.

    The fit is least squares over every possible corner, as in segmented regression; the slope of the second line has to
    be less than half of the first one's. Returns None if the ramp has fewer than 8 points, if throughput grew with the
    load to the end, or if the load grew by less than 30 % after the corner.
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
    """Return the slope of the first line, which goes through the origin: no load, no throughput."""
    squares = sum(point.users**2 for point in points)
    return sum(point.users * point.rps for point in points) / squares if squares else 0.0


def _slope_from(points: Sequence[LoadPoint], x: float, y: float) -> float:
    squares = sum((point.users - x) ** 2 for point in points)
    return sum((point.users - x) * (point.rps - y) for point in points) / squares if squares else 0.0
