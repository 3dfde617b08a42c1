"""Health of a load generator process: event loop lag, CPU use, memory, and saturation."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace

import gevent

from obswarm import clock, defaults
from obswarm.api import Environment
from obswarm.greenlets import Supervisor
from obswarm.record import GeneratorHealth
from obswarm.units import format_latency

logger = logging.getLogger(__name__)

_PROBE_INTERVAL_S = 0.02
_SHORTEST_INTERVAL_S = 0.1
"""Shorter intervals are not measured: after a delay, a process is queried several times at once."""

_INTERVAL_S = 1.0
_STATM = "/proc/self/statm"


class SaturationWatch:
    """Detects saturation from CPU use and lag of each interval, usually a second. Without I/O."""

    def __init__(
        self,
        cpu_limit: float = defaults.SATURATED_CPU_RATIO,
        lag_limit_s: float = defaults.SATURATED_LOOP_LAG_S,
        after_s: float = defaults.SATURATED_AFTER_S,
    ) -> None:
        self._cpu_limit = cpu_limit
        self._lag_limit_s = lag_limit_s
        self._after_s = after_s
        self.over_s = 0.0
        """Consecutive seconds above a limit, up to the last interval."""
        self.saturated = False
        self.reason = ""

    def update(self, cpu_ratio: float, loop_lag_s: float, interval_s: float = _INTERVAL_S) -> bool:
        """Add an interval; returns True when the process becomes saturated, which happens once."""
        busy, late = cpu_ratio >= self._cpu_limit, loop_lag_s >= self._lag_limit_s
        if busy:
            self.over_s += interval_s
        elif late:
            # Of a long interval, only the time in which the event loop was blocked.
            self.over_s += min(interval_s, max(_INTERVAL_S, loop_lag_s))
        else:
            self.over_s = 0.0
        # The lengths of intervals vary slightly.
        if self.saturated or self.over_s < self._after_s - _INTERVAL_S / 5:
            return False
        self.saturated = True
        what = [f"its CPU use is {cpu_ratio:.0%} of a core"] if busy else []
        what += [f"its event loop lag is {format_latency(loop_lag_s)}"] if late else []
        self.reason = " and ".join(what)
        return True


class HealthMonitor:
    """Measures this process during a run; `read` returns the measurements since its last call.

    `cpus` is the number of CPUs that the process may use, if that is less than one.
    """

    def __init__(self, worker: str, cpus: float = 1.0, supervisor: Supervisor | None = None) -> None:
        self.worker = worker
        self._supervisor = supervisor or Supervisor()
        self.watch = SaturationWatch(defaults.SATURATED_CPU_RATIO * min(1.0, cpus))
        self.max_cpu_ratio = 0.0
        self.max_loop_lag_s = 0.0
        self._resident_bytes = _resident_memory()
        self._lag_s = 0.0
        self._asleep_since_s: float | None = None
        self._last: GeneratorHealth | None = None
        self._memory_bytes = 0
        self._probe: gevent.Greenlet | None = None
        self._read_at = clock.monotonic()
        self._cpu_s = time.process_time()

    def start(self) -> None:
        self._read_at = clock.monotonic()
        self._cpu_s = time.process_time()
        self._lag_s = self.max_cpu_ratio = self.max_loop_lag_s = 0.0
        self._asleep_since_s = self._last = None
        self._probe = self._supervisor.keep("The measurement of the event loop's lag", self._measure_lag)

    def stop(self) -> None:
        if self._probe is not None:
            self._probe.kill(block=False)

    def _measure_lag(self) -> None:
        while True:
            self._asleep_since_s = clock.monotonic()
            gevent.sleep(_PROBE_INTERVAL_S)
            self._note_lag(clock.monotonic())

    def _note_lag(self, now: float) -> None:
        if self._asleep_since_s is not None:
            self._lag_s = max(self._lag_s, now - self._asleep_since_s - _PROBE_INTERVAL_S)
            self._asleep_since_s = None

    def read(self, users: int) -> tuple[GeneratorHealth, bool]:
        """Return the health in the last interval, and whether the process has just become saturated."""
        now, cpu_s = clock.monotonic(), time.process_time()
        span = now - self._read_at
        if self._asleep_since_s is not None and now - self._asleep_since_s > _PROBE_INTERVAL_S:
            # The measuring greenlet is delayed, too, and may be the last one to be scheduled.
            self._note_lag(now)
        if self._last is not None and span < _SHORTEST_INTERVAL_S:
            self.max_loop_lag_s = max(self.max_loop_lag_s, self._lag_s)
            lag_s = max(self._last.loop_lag_s, self._lag_s)
            return replace(self._last, users=users, loop_lag_s=lag_s, max_loop_lag_s=self.max_loop_lag_s), False
        ratio = (cpu_s - self._cpu_s) / span if span > 0 else 0.0
        lag_s, self._lag_s = max(self._lag_s, 0.0), 0.0
        self._read_at, self._cpu_s = now, cpu_s
        self.max_cpu_ratio = max(self.max_cpu_ratio, ratio)
        self.max_loop_lag_s = max(self.max_loop_lag_s, lag_s)
        became = self.watch.update(ratio, lag_s, span)
        try:
            self._memory_bytes = self._resident_bytes()
        except OSError as error:
            # It is read from a file, which cannot be opened without a free descriptor; the last value is kept.
            logger.debug("This process's memory cannot be read: %s", error)
        self._last = GeneratorHealth(
            self.worker,
            users,
            ratio,
            lag_s,
            self._memory_bytes,
            self.watch.saturated,
            max_cpu_ratio=self.max_cpu_ratio,
            max_loop_lag_s=self.max_loop_lag_s,
        )
        return self._last, became


def _resident_memory() -> Callable[[], int]:
    """Return a function that returns this process's resident memory in bytes, and raises OSError if it cannot."""
    if os.path.exists(_STATM):
        page_bytes = os.sysconf("SC_PAGE_SIZE")

        def read_statm() -> int:
            # The second number, in pages (proc(5)). What psutil reads, without a megabyte for psutil.
            with open(_STATM, "rb") as file:
                return int(file.read().split()[1]) * page_bytes

        return read_statm
    import psutil

    own = psutil.Process()
    return lambda: own.memory_info().rss


def tell_usage(environment: Environment, health: GeneratorHealth) -> None:
    """Fire `usage_monitor`, with CPU in percent of a core."""
    runner, cpu_percent = environment.runner, health.cpu_ratio * 100
    if runner is not None:
        runner.current_cpu_usage, runner.current_memory_usage = cpu_percent, health.memory_bytes
    environment.events.usage_monitor.fire(
        environment=environment, cpu_usage=cpu_percent, memory_usage=health.memory_bytes
    )


def tell_saturation(environment: Environment, health: GeneratorHealth) -> None:
    """Fire `cpu_warning`, with CPU in percent of a core."""
    if environment.runner is not None:
        environment.runner.cpu_warning_emitted = True
    environment.events.cpu_warning.fire(environment=environment, cpu_usage=health.cpu_ratio * 100)


def warn_of_saturation(environment: Environment, reason: str, health: GeneratorHealth) -> None:
    """Log that the load generator is saturated, and fire `cpu_warning`."""
    logger.warning(
        "THE LOAD GENERATOR IS THE BOTTLENECK: %s. From now on, latencies and rates describe this process rather than"
        " the target. Use fewer users, or more processes.",
        reason,
    )
    tell_saturation(environment, health)
