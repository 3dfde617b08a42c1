"""Runs of a simulated system that breaks in a known way: a closed system of balancer, workers, pool, database and CPU.

Each second is in balance: throughput is what the users ask for, or the capacity of the narrowest part; requests that are
too many wait before that part, and, where it takes no more, in the parts above it.
"""

import math
import random
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from obswarm.record import Interval, MetricKey, RunInfo, RunRecord, RunState, WorkerInterval
from obswarm.stats import EndpointKey, EndpointStats, ErrorKey, ErrorStats
from obswarm.targets import KINDS

PAGE = EndpointKey("GET", "/page")
SUBMIT = EndpointKey("POST", "/submit")
REPORT = EndpointKey("GET", "/report")
STARTED_S = 1_700_000_000.0
_WINDOW = 15
_TIMEOUT_S = 8.0


@dataclass(frozen=True)
class System:
    """What the system has in a second. Times in seconds, of one request; `queries` of one request of each endpoint."""

    users: float = 100.0
    wait_s: float = 1.0
    workers: int = 64
    clusters: int = 2
    pool: int = 40
    database_slots: float = 24.0
    query_s: float = 0.01
    lock_s: float = 0.0
    """Time that a submission waits for a row."""
    cpu_s: float = 0.005
    cores: float = 4.0
    limited_cores: float = math.inf
    reports: float = 0.0
    """Share of requests that are reports, with 40 queries each."""
    generator_s: float = 0.0
    """Time that the load generator itself adds to each request."""
    generator_cpu: float = 0.2


@dataclass
class Incident:
    """`at` changes the system over time, from its number of seconds since the start."""

    at: Callable[[float], System]
    seconds: int = 120
    seed: int = 1
    noise: float = 0.05
    dropped: float = 0.03
    skew_s: float = 0.3
    unrelated: int = 10
    without: frozenset[str] = frozenset()
    """Kinds that are not observed."""
    _draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def record(self) -> RunRecord:
        """The run, as it is read from a store."""
        intervals = []
        raw: dict[MetricKey, list[float]] = {}
        for second in range(1, self.seconds + 1):
            system = self.at(float(second))
            state = _balance(system)
            intervals.append(self._interval(second, system, state))
            for key, value in _series(system, state).items():
                raw.setdefault(key, []).append(value)
            for values in raw.values():
                values += [math.nan] * (second - len(values))
        samples = {key: self._sampled(key, values) for key, values in raw.items() if key.kind not in self.without}
        samples |= dict(self._unrelated(number) for number in range(self.unrelated))
        endpoints = {
            key: _merged(key, [interval.endpoints[key] for interval in intervals if key in interval.endpoints])
            for key in (PAGE, SUBMIT, REPORT)
            if any(key in interval.endpoints for interval in intervals)
        }
        end_s = STARTED_S + self.seconds
        info = RunInfo(
            *(1, "20260131-120000-abcd", "contest.py", "http://shop.example", STARTED_S, end_s, end_s, None, "1.0.0"),
            *({}, None, None, "", ()),
        )
        return RunRecord(info, tuple(intervals), endpoints, {}, {}, (), samples=samples)

    def _noisy(self, value: float) -> float:
        noisy = value * self._draw.gauss(1, self.noise)
        return noisy if math.isnan(noisy) else max(0.0, noisy)

    def _interval(self, second: int, system: System, state: "State") -> Interval:
        endpoints = {}
        errors = {}
        for key, share, latency_s in state.mix:
            count = self._poisson(state.rps * share)
            if not count:
                continue
            stats = EndpointStats(key)
            for _ in range(count):
                taken_s = latency_s * self._draw.lognormvariate(0, 0.3)
                failed = taken_s > _TIMEOUT_S
                stats.record(min(taken_s, _TIMEOUT_S), 1000, "5xx" if failed else "2xx", failed)
            endpoints[key] = stats
            if stats.failures:
                errors[ErrorKey(key.method, key.name, "HTTP 504")] = ErrorStats(stats.failures, 0.0, 0.0)
        cpu = min(1.0, self._noisy(system.generator_cpu))
        worker = WorkerInterval(
            round(system.users), cpu, 0.4 if cpu > 0.95 else 0.002, 60_000_000, cpu > 0.95, "ready", 0.1
        )
        users = {"Contestant": round(system.users)}
        return Interval(
            time_s=STARTED_S + second,
            elapsed_s=float(second),
            interval_s=1.0,
            epoch=0,
            stats_since_s=STARTED_S,
            state=RunState.RUNNING,
            users=users,
            users_target=users,
            endpoints=endpoints,
            errors=errors,
            exceptions={},
            iterations={},
            interrupted=0,
            workers={"w1": worker},
            guards={},
            in_flight=round(
                self._noisy(sum(state.rps * share * min(s, _TIMEOUT_S) for _, share, s in state.mix) * 1.046)
            ),
            oldest_s=state.latency_s,
            load_s=float(second),
            users_max=round(system.users),
        )

    def _poisson(self, mean: float) -> int:
        return max(0, round(self._draw.gauss(mean, math.sqrt(mean)))) if mean > 0 else 0

    def _sampled(self, key: MetricKey, values: list[float]) -> tuple[tuple[float, float], ...]:
        """Rates are over the last 15 s; some samples are missing; the target's clock differs."""
        kind = KINDS[key.kind].metric(key.name)
        window = _WINDOW if kind is not None and kind.window_s else 1
        is_count = key.unit == "number" and kind is not None and kind.meaning == "capacity"
        points = []
        before = math.nan
        for second in range(len(values)):
            part = values[max(0, second - window + 1) : second + 1]
            mean = sum(part) / len(part)
            # What is full is not more than full.
            noisy = mean if is_count or (kind is not None and kind.limit is not None) else self._noisy(mean)
            if key.unit == "number" and window == 1 and math.isfinite(noisy):
                noisy = float(round(noisy))
            if key.unit == "ratio":
                noisy = min(noisy, 1.0)
            if math.isnan(noisy) and math.isnan(before):
                continue
            if self._draw.random() >= self.dropped and noisy != before:
                points.append((STARTED_S + second + 1 + self.skew_s, noisy))
                before = noisy
        return tuple(points)

    def _unrelated(self, number: int) -> tuple[MetricKey, tuple[tuple[float, float], ...]]:
        """A series that has nothing to do with it: noise, a random walk, waves, or rare peaks."""
        values = array("d")
        value = 10.0
        for second in range(self.seconds):
            if number % 4 == 0:
                value = 10 + self._draw.gauss(0, 3)
            elif number % 4 == 1:
                value += self._draw.gauss(0, 0.5)
            elif number % 4 == 2:
                value = 10 + 5 * math.sin(second / 7 + number)
            else:
                value = 100.0 if self._draw.random() < 0.03 else 1.0
            values.append(value)
        key = MetricKey("billing", "other", f"series {number}", "number")
        return key, tuple((STARTED_S + second + 1, value) for second, value in enumerate(values))


@dataclass(frozen=True)
class State:
    rps: float
    latency_s: float
    in_system: float
    threads: float
    in_pool: float
    waiting_pool: float
    busy: float
    queue: float
    cpu: float
    throttled: float
    queries: float
    database_s: float
    mix: tuple[tuple[EndpointKey, float, float], ...]


def _balance(system: System) -> State:
    shares = {PAGE: (1 - system.reports) * 0.8, SUBMIT: (1 - system.reports) * 0.2, REPORT: system.reports}
    queries = {PAGE: 2.0, SUBMIT: 4.0, REPORT: 80.0}
    locks = {SUBMIT: system.lock_s}
    queries_each = sum(shares[key] * queries[key] for key in shares)
    locked_each = shares[SUBMIT] * system.lock_s
    held_s = queries_each * system.query_s + locked_each
    cores = min(system.cores, system.limited_cores)
    workers = system.workers * system.clusters / 2
    # A lock lets one submission after the other through.
    capacities = {
        "database": system.database_slots / (queries_each * system.query_s),
        "lock": 1 / (shares[SUBMIT] * system.lock_s) * 6 if system.lock_s else math.inf,
        "pool": system.pool / held_s,
        "cpu": cores / system.cpu_s,
        "workers": workers / (held_s + system.cpu_s),
    }
    narrow = min(capacities, key=lambda name: capacities[name])
    free_s = held_s + system.cpu_s + system.generator_s
    # Near its capacity a part queues already.
    wanted = system.users / (system.wait_s + free_s)
    rps = wanted / (1 + (wanted / capacities[narrow]) ** 8) ** (1 / 8)
    latency_s = max(free_s, system.users / rps - system.wait_s)
    server_s = latency_s - system.generator_s
    in_system = rps * server_s
    extra = max(0.0, in_system - rps * (held_s + system.cpu_s))
    database = rps * held_s
    in_pool, busy, waiting_pool = database, rps * (held_s + system.cpu_s), 0.0
    cpu = rps * system.cpu_s / system.cores
    database_s = system.query_s + locked_each / queries_each
    if narrow in ("database", "lock"):
        more = min(extra, system.pool - in_pool)
        database, in_pool, extra, busy = database + more, in_pool + more, extra - more, busy + more
        database_s = database / (rps * queries_each)
    if narrow in ("database", "lock", "pool"):
        waiting_pool = min(extra, max(0.0, workers - busy))
        busy, extra = busy + waiting_pool, extra - waiting_pool
    if narrow == "cpu":
        more = min(extra, max(0.0, workers - busy))
        busy, extra = busy + more, extra - more
    factor = server_s / (held_s + system.cpu_s)
    mix = tuple(
        (
            key,
            share,
            (queries[key] * system.query_s + system.cpu_s + locks.get(key, 0.0))
            * (1 + (factor - 1) * (0.4 if narrow == "lock" and key != SUBMIT else 1.0))
            + system.generator_s,
        )
        for key, share in shares.items()
        if share
    )
    throttled = max(0.0, min(0.95, 3 * (rps * system.cpu_s / system.limited_cores - 0.7)))
    return State(
        rps, latency_s, in_system, database, in_pool, waiting_pool, min(busy, workers), extra, cpu, throttled,
        rps * queries_each, database_s, mix,
    )  # fmt: skip


def _series(system: System, state: State) -> Mapping[MetricKey, float]:
    locked = max(0.0, state.threads - state.queries * system.query_s) if system.lock_s else 0.0
    every = {
        ("haproxy", "haproxy"): {
            "sessions": state.in_system,
            "queue": 0.0,
            "servers up": system.clusters,
            "response time": state.latency_s - system.generator_s,
            "5xx": 0.0,
        },
        **{
            (f"uwsgi {name}", "uwsgi"): {
                "workers busy": state.busy / system.clusters,
                "workers": system.workers / 2,
                "listen queue": state.queue / system.clusters,
                "requests": state.rps / system.clusters,
            }
            for name in "ab"[: system.clusters]
        },
        ("app", "app"): {
            "requests": state.rps,
            "request time": (state.busy or 0.001) / state.rps,
            "database time": (state.in_pool + state.waiting_pool) / state.queries,
            "CPU cores in use": state.rps * system.cpu_s,
            "memory": 3e8 + 1e5 * system.users,
        },
        ("pgbouncer", "pgbouncer"): {
            "clients waiting": state.waiting_pool,
            "server connections in use": state.in_pool,
            "pool size": system.pool,
            "time per query": state.database_s,
            "queries": state.queries,
        },
        ("db", "mysql"): {
            "threads running": 1 + state.threads,
            "threads connected": 5 + system.pool,
            "connections limit": 500.0,
            "queries": state.queries,
            "slow queries": 0.01,
            "row lock waits": (8 * system.lock_s * 4 if system.lock_s else 0.02),
            "waiting for row locks": locked,
        },
        ("node", "node"): {
            "CPU": min(1.0, 0.05 + state.cpu),
            "load": system.cores * state.cpu,
            "CPU pressure": max(0.0, state.cpu - 0.85) * 4,
            "I/O pressure": 0.01,
            "disk time": 0.05 + state.rps / 20_000,
        },
        ("containers", "cadvisor"): {
            "CPU cores in use": state.rps * system.cpu_s,
            "periods throttled": state.throttled,
        },
    }
    return {
        MetricKey(target, kind, name, _unit(kind, name)): value
        for (target, kind), values in every.items()
        for name, value in values.items()
    }


def _unit(kind: str, name: str) -> str:
    metric = KINDS[kind].metric(name)
    assert metric is not None
    return metric.unit


def _merged(key: EndpointKey, every: list[EndpointStats]) -> EndpointStats:
    whole = EndpointStats(key)
    for stats in every:
        whole.merge(stats)
    return whole


def ramp(second: float, highest: float, over_s: float = 100.0) -> float:
    """Users of a ramp to `highest`."""
    return max(1.0, highest * min(1.0, second / over_s))


BASE = System()


def database_lock(second: float) -> System:
    return replace(BASE, users=120, lock_s=1.5 if second >= 60 else 0.0)


def pool_exhausted(second: float) -> System:
    return replace(BASE, users=ramp(second, 600), pool=5)


def cpu_limit(second: float) -> System:
    return replace(BASE, users=ramp(second, 700), limited_cores=1.0)


def machine_cpu(second: float) -> System:
    return replace(BASE, users=ramp(second, 700), cores=2.0, cpu_s=0.008)


def cluster_lost(second: float) -> System:
    return replace(BASE, users=500, workers=24, clusters=2 if second < 60 else 1)


def chatty_endpoint(second: float) -> System:
    return replace(BASE, users=300, reports=0.0 if second < 50 else min(0.2, (second - 50) / 200))


def healthy(second: float) -> System:
    return replace(BASE, users=ramp(second, 200))


def overload(second: float) -> System:
    return replace(BASE, users=ramp(second, 800), workers=12)


def slow_database(second: float) -> System:
    return replace(BASE, users=ramp(second, 700), database_slots=6)


def generator_saturated(second: float) -> System:
    users = ramp(second, 400)
    return replace(
        BASE, users=users, generator_cpu=min(1.0, users / 250), generator_s=max(0.0, users - 250) / 250 * 0.8
    )
