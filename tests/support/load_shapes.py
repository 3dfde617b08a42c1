"""Runs by a simulation, as series of the exporter's metrics: users that wait, requests that take their time, scrapes a
second apart. For rules that are to be tried on more runs than anybody would wait for."""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

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
AT_ONCE, NEVER = always(0), always(3600)

Step = tuple[str, Draw, Draw]
"""The name of an endpoint, how long a request takes there, and how long its user waits then."""


@dataclass(frozen=True)
class Run:
    """`users` at a second of the run; `wait` is between two requests of a user, `takes` is a request's duration, which
    from `breaks_at_s` on is `breaks`. `journeys` instead of `wait` and `takes`: the steps that users repeat, the n-th
    user the n-th of these journeys, and so on in turn."""

    seconds: int
    users: Callable[[float], int]
    wait: Draw = AT_ONCE
    takes: Draw = SHORT
    failing: float = 0.0
    breaks_at_s: float = float("inf")
    breaks: Draw = NEVER
    journeys: Sequence[Sequence[Step]] = ()

    def journey(self, user: int) -> Iterator[Step]:
        """The steps of the user of that number, without end."""
        journeys = self.journeys or [[("/", self.takes, self.wait)]]
        return cycle(journeys[user % len(journeys)])


def steady(users: int, rate: float = 1e9) -> Callable[[float], int]:
    """A ramp of `rate` users per second, then that many."""
    return lambda now: min(users, int(rate * now) + 1)


@dataclass
class _Endpoint:
    ok: int = 0
    failed: int = 0
    buckets: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    """Cumulative."""
    sum_s: float = 0.0
    in_flight: int = 0
    oldest_s: float = 0.0

    def finish(self, took_s: float, *, failed: bool) -> None:
        self.ok += not failed
        self.failed += failed
        self.sum_s += took_s
        self.buckets = tuple(
            count + (took_s <= bound) for count, bound in zip(self.buckets, (*BOUNDS_S, float("inf")), strict=True)
        )


@dataclass
class _Second:
    users: int
    endpoints: dict[str, _Endpoint]

    @property
    def ok(self) -> int:
        return sum(each.ok for each in self.endpoints.values())

    @property
    def in_flight(self) -> int:
        return sum(each.in_flight for each in self.endpoints.values())


class _Simulation:
    def __init__(self, run: Run, seed: int) -> None:
        self._run = run
        self._chance = random.Random(seed)
        self._events: list[tuple[float, int, float | None]] = []
        """(when, user, begin of the request that ends then, or None when one begins)."""
        self._alive: set[int] = set()
        self._steps: dict[int, Iterator[Step]] = {}
        self._under_way: dict[int, tuple[float, Step]] = {}
        self._endpoints: dict[str, _Endpoint] = {}
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
            self._steps[self._made] = self._run.journey(self._made)
            heapq.heappush(self._events, (now, self._made, None))
        while len(self._alive) > wanted:
            self._alive.remove(min(self._alive))

    def _work_until(self, end: float) -> None:
        run, chance = self._run, self._chance
        while self._events and self._events[0][0] < end:
            at, user, began = heapq.heappop(self._events)
            if began is not None:
                _, (name, _, wait) = self._under_way.pop(user)
                self._endpoints[name].finish(at - began, failed=chance.random() < run.failing)
                # Without a wait the user's own code takes a moment.
                heapq.heappush(self._events, (at + max(0.002, wait(chance)), user, None))
            elif user in self._alive:
                step = next(self._steps[user])
                name, takes, _ = step
                self._endpoints.setdefault(name, _Endpoint())
                self._under_way[user] = at, step
                takes_s = (run.breaks if at >= run.breaks_at_s else takes)(chance)
                heapq.heappush(self._events, (at + takes_s, user, at))

    def _second(self, now: float = 0.0) -> _Second:
        endpoints = {}
        for name, finished in self._endpoints.items():
            began = [began for began, step in self._under_way.values() if step[0] == name]
            endpoints[name] = replace(finished, in_flight=len(began), oldest_s=now - min(began, default=now))
        return _Second(len(self._alive), endpoints)


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
    for name in seen[-1].endpoints:
        yield from _of_an_endpoint([each.endpoints.get(name) for each in seen], name, run, texts)
    yield 'obswarm_users{user_class="A"}', texts([each.users for each in seen])
    yield 'obswarm_generator_saturated{worker="w"}', texts([0.0] * len(seen))
    for state in ("ready", "missing", "leaving", "lost", "gone"):
        yield f'obswarm_workers{{state="{state}"}}', texts([float(state == "ready")] * len(seen))
    yield from _of_the_target(seen, texts)


def _of_an_endpoint(
    seen: Sequence[_Endpoint | None], name: str, run: Run, texts: Callable[[Sequence[float]], list[str]]
) -> Iterator[tuple[str, list[str]]]:
    """Its series begin with its first request."""
    there = [each for each in seen if each is not None]
    before = [NOTHING] * (len(seen) - len(there))
    labels = f'method="GET", name="{name}"'

    def values(of: Callable[[_Endpoint], float]) -> list[str]:
        return before + texts([of(each) for each in there])

    yield f'obswarm_requests_total{{{labels}, outcome="success", status="2xx"}}', values(lambda each: each.ok)
    if run.failing:
        yield f'obswarm_requests_total{{{labels}, outcome="failure", status="5xx"}}', values(lambda each: each.failed)
    for number, bound in enumerate([*map(str, BOUNDS_S), "+Inf"]):
        buckets = values(lambda each, number=number: each.buckets[number])  # type: ignore[misc]
        yield f'obswarm_request_duration_seconds_bucket{{{labels}, le="{bound}"}}', buckets
    yield f"obswarm_request_duration_seconds_sum{{{labels}}}", values(lambda each: each.sum_s)
    yield f"obswarm_request_duration_seconds_count{{{labels}}}", values(lambda each: each.buckets[-1])
    yield f"obswarm_requests_in_flight{{{labels}}}", values(lambda each: each.in_flight)
    yield f"obswarm_oldest_request_seconds{{{labels}}}", values(lambda each: each.oldest_s)


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
