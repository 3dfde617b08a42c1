"""Whether this process is fast enough to be trusted: loop lag, CPU, memory, and when they mean saturation."""

import logging
import time
from dataclasses import replace

import gevent
import psutil

from obswarm import clock, defaults
from obswarm.api import Environment
from obswarm.greenlets import Supervisor
from obswarm.record import GeneratorHealth
from obswarm.units import format_latency

logger = logging.getLogger(__name__)

_PROBE_INTERVAL_S = 0.02
_SHORTEST_INTERVAL_S = 0.1
"""Figures over less than this say nothing: a process that was held up is asked several times at once afterwards."""

_INTERVAL_S = 1.0


class SaturationWatch:
    """Decides from the figures of each interval, usually of a second; remembers that it was so. Pure."""

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
        """For how long it has been over a limit without a pause, up to the last interval."""
        self.saturated = False
        self.reason = ""

    def update(self, cpu_ratio: float, loop_lag_s: float, interval_s: float = _INTERVAL_S) -> bool:
        """Take in one interval; true at the moment at which the process counts as saturated for the first time."""
        busy, late = cpu_ratio >= self._cpu_limit, loop_lag_s >= self._lag_limit_s
        if busy:
            self.over_s += interval_s
        elif late:
            # Of a long interval only the time in which nothing went on.
            self.over_s += min(interval_s, max(_INTERVAL_S, loop_lag_s))
        else:
            self.over_s = 0.0
        # Intervals are a little shorter or longer than they should be.
        if self.saturated or self.over_s < self._after_s - _INTERVAL_S / 5:
            return False
        self.saturated = True
        what = [f"its CPU use is {cpu_ratio:.0%} of a core"] if busy else []
        what += [f"its event loop runs {format_latency(loop_lag_s)} late"] if late else []
        self.reason = " and ".join(what)
        return True


class HealthMonitor:
    """Measures this process while a run goes on. `read` gives the figures since the last call.

    `cpus` is what the process may use, when that is less than one core.
    """

    def __init__(self, worker: str, cpus: float = 1.0, supervisor: Supervisor | None = None) -> None:
        self.worker = worker
        self._supervisor = supervisor or Supervisor()
        self.watch = SaturationWatch(defaults.SATURATED_CPU_RATIO * min(1.0, cpus))
        self.max_cpu_ratio = 0.0
        self.max_loop_lag_s = 0.0
        self._process = psutil.Process()
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
        """The last interval's health, and whether the process has just become saturated."""
        now, cpu_s = clock.monotonic(), time.process_time()
        span = now - self._read_at
        if self._asleep_since_s is not None and now - self._asleep_since_s > _PROBE_INTERVAL_S:
            # The measurement is as late as everything else, and may be the last to go on.
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
            self._memory_bytes = self._process.memory_info().rss
        except OSError as error:
            # It is read from a file, which cannot be opened while no descriptor is left; the figure before stands.
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


def warn_of_saturation(environment: Environment, reason: str, cpu_percent: float) -> None:
    """Loudly: figures from here on cannot be trusted."""
    logger.warning(
        "THE LOAD GENERATOR IS THE BOTTLENECK: %s. Latencies and rates from here on say more about this process"
        " than about the target. Use fewer users, or more processes.",
        reason,
    )
    environment.events.cpu_warning.fire(
        environment=environment, cpu_usage=cpu_percent, message=reason, timestamp=clock.wall()
    )
