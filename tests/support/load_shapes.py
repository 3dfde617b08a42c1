"""Runs by a simulation, as series of the exporter's metrics: users that wait, requests that take their time, scrapes a
second apart. For rules that are to be tried on more runs than anybody would wait for."""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

BOUNDS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Draw = Callable[[random.Random], float]
"""A duration in seconds."""


def always(seconds: float) -> Draw:
    return lambda _: seconds


def between(lowest_s: float, highest_s: float) -> Draw:
    return lambda chance: chance.uniform(lowest_s, highest_s)


def around(median_s: float, spread: float = 0.4) -> Draw:
    """Log-normal, as durations of requests are."""
    return lambda chance: median_s * chance.lognormvariate(0, spread)


SHORT = around(0.08)
NEVER = always(3600)


@dataclass(frozen=True)
class Run:
    """`users` at a second of the run; `wait` is between two requests of a user, `takes` is a request's duration, which
    from `breaks_at_s` on is `breaks`."""

    seconds: int
    users: Callable[[float], int]
    wait: Draw
    takes: Draw = SHORT
    failing: float = 0.0
    breaks_at_s: float = float("inf")
    breaks: Draw = NEVER


def steady(users: int, rate: float = 1e9) -> Callable[[float], int]:
    """A ramp of `rate` users per second, then that many."""
    return lambda now: min(users, int(rate * now) + 1)


@dataclass
class _Second:
    users: int
    ok: int
    failed: int
    buckets: tuple[int, ...]
    sum_s: float
    in_flight: int
    oldest_s: float


class _Simulation:
    def __init__(self, run: Run, seed: int) -> None:
        self._run = run
        self._chance = random.Random(seed)
        self._events: list[tuple[float, int, float | None]] = []
        """(when, user, begin of the request that ends then, or None when one begins)."""
        self._alive: set[int] = set()
        self._under_way: dict[int, float] = {}
        self._ok = self._failed = 0
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0
        self._made = 0

    def seconds(self) -> Iterator[_Second]:
        yield self._second()
        for second in range(self._run.seconds):
            for tenth in range(10):
                now = second + tenth / 10
                self._scale(now)
                self._work_until(now + 0.1)
            yield self._second(second + 1)

    def _scale(self, now: float) -> None:
        wanted = self._run.users(now)
        while len(self._alive) < wanted:
            self._made += 1
            self._alive.add(self._made)
            heapq.heappush(self._events, (now, self._made, None))
        while len(self._alive) > wanted:
            self._alive.remove(min(self._alive))

    def _work_until(self, end: float) -> None:
        run, chance = self._run, self._chance
        while self._events and self._events[0][0] < end:
            at, user, began = heapq.heappop(self._events)
            if began is not None:
                self._finish(user, at - began)
                # Without a wait the user's own code takes a moment.
                heapq.heappush(self._events, (at + max(0.002, run.wait(chance)), user, None))
            elif user in self._alive:
                takes = run.breaks if at >= run.breaks_at_s else run.takes
                self._under_way[user] = at
                heapq.heappush(self._events, (at + takes(chance), user, at))

    def _finish(self, user: int, took_s: float) -> None:
        del self._under_way[user]
        if self._chance.random() < self._run.failing:
            self._failed += 1
        else:
            self._ok += 1
        self._sum_s += took_s
        self._buckets[next((n for n, bound in enumerate(BOUNDS_S) if took_s <= bound), len(BOUNDS_S))] += 1

    def _second(self, now: float = 0.0) -> _Second:
        cumulative = tuple(sum(self._buckets[: number + 1]) for number in range(len(self._buckets)))
        oldest_s = now - min(self._under_way.values(), default=now)
        return _Second(
            len(self._alive), self._ok, self._failed, cumulative, self._sum_s, len(self._under_way), oldest_s
        )


STALE, NOTHING = "stale", "_"


def series_of(
    runs: Sequence[tuple[Run, int]], seed: int = 1, job: str = "obswarm", instance: str = "m"
) -> tuple[dict[str, list[str]], int]:
    """What Prometheus has of runs one after the other at one address, as promtool's `input_series` write it; and their
    length in seconds. Each run has the seconds before the next one begins, in which nobody answers a scrape.

    Now and then a scrape comes just before the second's snapshot and sees the one before again, as it really is.
    """
    found: dict[str, list[str]] = {}
    chance = random.Random(seed)
    length = 0
    for number, (run, pause) in enumerate(runs):
        seconds = list(_Simulation(run, seed + number).seconds())
        seen = [seconds[max(0, at - (chance.random() < 0.1))] for at in range(len(seconds))]
        for name, values in _families(seen, run, f"20260101-0000{number:02}-aaaa"):
            labels = name.partition("{")[2].removesuffix("}")
            full = f'{name.partition("{")[0]}{{job="{job}", instance="{instance}"{", " if labels else ""}{labels}}}'
            before = found.setdefault(full, [])
            before += [NOTHING] * (length - len(before))
            before += values
        length += len(seconds) + pause
        for values in found.values():
            if len(values) < length and values[-1] not in (STALE, NOTHING):
                values.append(STALE)
    return found, length


def _families(seen: Sequence[_Second], run: Run, run_id: str) -> Iterator[tuple[str, list[str]]]:
    def texts(values: Sequence[float]) -> list[str]:
        return [f"{value:.6g}" for value in values]

    constant = [1.0] * len(seen)
    yield f'obswarm_run_info{{run_id="{run_id}"}}', texts(constant)
    for state in ("running", "stopped"):
        yield f'obswarm_run_state{{state="{state}"}}', texts([float(state == "running")] * len(seen))
    endpoint = 'method="GET", name="/"'
    yield f'obswarm_requests_total{{{endpoint}, outcome="success", status="2xx"}}', texts([each.ok for each in seen])
    if run.failing:
        failures = texts([each.failed for each in seen])
        yield f'obswarm_requests_total{{{endpoint}, outcome="failure", status="5xx"}}', failures
    for number, bound in enumerate([*map(str, BOUNDS_S), "+Inf"]):
        buckets = texts([each.buckets[number] for each in seen])
        yield f'obswarm_request_duration_seconds_bucket{{{endpoint}, le="{bound}"}}', buckets
    yield f"obswarm_request_duration_seconds_sum{{{endpoint}}}", texts([each.sum_s for each in seen])
    yield f"obswarm_request_duration_seconds_count{{{endpoint}}}", texts([each.buckets[-1] for each in seen])
    yield f"obswarm_requests_in_flight{{{endpoint}}}", texts([each.in_flight for each in seen])
    yield f"obswarm_oldest_request_seconds{{{endpoint}}}", texts([each.oldest_s for each in seen])
    yield 'obswarm_users{user_class="A"}', texts([each.users for each in seen])
    yield 'obswarm_generator_saturated{worker="w"}', texts([0.0] * len(seen))
    for state in ("ready", "missing", "leaving", "lost", "gone"):
        yield f'obswarm_workers{{state="{state}"}}', texts([float(state == "ready")] * len(seen))
    yield from _of_the_target(seen, texts)


def _of_the_target(
    seen: Sequence[_Second], texts: Callable[[Sequence[float]], list[str]]
) -> Iterator[tuple[str, list[str]]]:
    """A database, workers and a load balancer that have as much to do as there are requests."""
    busy = [min(each.in_flight, 15) for each in seen]
    yield 'mysql_global_status_threads_running{kind="mysql"}', texts([2 + each for each in busy])
    # The exporter's own statements, of 0.15 s, and five of 4 ms for each request.
    statements = [(at + 5 * each.ok, 0.15 * at + 0.02 * each.ok) for at, each in enumerate(seen)]
    yield 'mysql_perf_schema_events_statements_total{digest_text="q"}', texts([count for count, _ in statements])
    yield (
        'mysql_perf_schema_events_statements_seconds_total{digest_text="q"}',
        texts([spent for _, spent in statements]),
    )
    for worker in range(4):
        yield f'uwsgi_worker_busy{{worker="{worker}"}}', texts([float(4 * worker < each - 3) for each in busy])
    yield "uwsgi_workers", texts([4.0] * len(seen))
    yield 'haproxy_backend_active_servers{proxy="clusters"}', texts([2.0] * len(seen))
    yield 'up{kind="mysql"}', texts([1.0] * len(seen))
