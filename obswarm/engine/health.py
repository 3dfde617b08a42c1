"""Whether this process is fast enough to be trusted: loop lag, CPU, memory, and when they mean saturation."""

import logging
import time

import gevent
import psutil

from obswarm import clock, defaults
from obswarm.greenlets import Supervisor
from obswarm.stats import GeneratorHealth

logger = logging.getLogger(__name__)

_PROBE_INTERVAL_S = 0.02


class SaturationWatch:
    """Decides from one pair of figures a second; remembers that it was so. Pure."""

    def __init__(
        self,
        cpu_limit: float = defaults.SATURATED_CPU_RATIO,
        lag_limit_s: float = defaults.SATURATED_LOOP_LAG_S,
        after: int = defaults.SATURATED_AFTER_S,
    ) -> None:
        self._cpu_limit = cpu_limit
        self._lag_limit_s = lag_limit_s
        self._after = after
        self.over = 0
        """Consecutive intervals over a limit, up to the last one."""
        self.saturated = False
        self.reason = ""

    def update(self, cpu_ratio: float, loop_lag_s: float) -> bool:
        """Take in one interval; true at the moment at which the process counts as saturated for the first time."""
        busy, late = cpu_ratio >= self._cpu_limit, loop_lag_s >= self._lag_limit_s
        self.over = self.over + 1 if busy or late else 0
        if self.saturated or self.over < self._after:
            return False
        self.saturated = True
        what = [f"its CPU use is {cpu_ratio:.0%} of a core"] if busy else []
        what += [f"its event loop runs {loop_lag_s * 1000:.0f} ms late"] if late else []
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
        self._memory_bytes = 0
        self._probe: gevent.Greenlet | None = None
        self._read_at = clock.monotonic()
        self._cpu_s = time.process_time()

    def start(self) -> None:
        self._read_at = clock.monotonic()
        self._cpu_s = time.process_time()
        self._lag_s = 0.0
        self._probe = self._supervisor.keep("The measurement of the event loop's lag", self._measure_lag)

    def stop(self) -> None:
        if self._probe is not None:
            self._probe.kill(block=False)

    def _measure_lag(self) -> None:
        while True:
            asleep = clock.monotonic()
            gevent.sleep(_PROBE_INTERVAL_S)
            self._lag_s = max(self._lag_s, clock.monotonic() - asleep - _PROBE_INTERVAL_S)

    def read(self, users: int) -> tuple[GeneratorHealth, bool]:
        """The last interval's health, and whether the process has just become saturated."""
        now, cpu_s = clock.monotonic(), time.process_time()
        span = now - self._read_at
        ratio = (cpu_s - self._cpu_s) / span if span > 0 else 0.0
        lag_s, self._lag_s = max(self._lag_s, 0.0), 0.0
        self._read_at, self._cpu_s = now, cpu_s
        self.max_cpu_ratio = max(self.max_cpu_ratio, ratio)
        self.max_loop_lag_s = max(self.max_loop_lag_s, lag_s)
        became = self.watch.update(ratio, lag_s)
        try:
            self._memory_bytes = self._process.memory_info().rss
        except OSError as error:
            # It is read from a file, which cannot be opened while no descriptor is left; the figure before stands.
            logger.debug("This process's memory cannot be read: %s", error)
        return GeneratorHealth(self.worker, users, ratio, lag_s, self._memory_bytes, self.watch.saturated), became
