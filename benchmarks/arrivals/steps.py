"""`python -m benchmarks.arrivals.steps`: what delays the starts of iterations: the process itself, or others.

Between two looks at the schedule, the process has used CPU time, or has waited for a CPU. Only the first is the load
generator's own doing, and is the same on a busy machine.
"""

from obswarm import gevent_patch  # noqa: F401,I001 - before anything that could import ssl

import argparse
import time
from itertools import pairwise

from obswarm.api import Environment, Events, User, parse_rate_stages, task
from obswarm.engine import ArrivalLoad, LocalGenerator, OpenExecutor, RateCurve, Run
from obswarm.engine.iterations import Arrivals
from obswarm.stats import Recorder

_SHARES = (0.5, 0.99, 0.999, 1.0)
_delays: list[float] = []
_steps: list[tuple[float, float]] = []
"""Wall and CPU time of each look at the schedule, in seconds."""


class Null(User):
    """Does nothing but to note by how much its iterations start late."""

    @task
    def nothing(self) -> None:
        delay_s = self.environment.recorder.start_delay
        _delays.append((delay_s() if delay_s is not None else None) or 0.0)


def _quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    return "  ".join(f"{ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1000:7.2f}" for q in _SHARES)


def main() -> None:
    """Run a user that does nothing in this process, and print the delays and their causes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5_000, help="iterations per second")
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    start_due = Arrivals.start_due

    def noting(self: Arrivals, now: float) -> float:
        wait_s = start_due(self, now)
        _steps.append((time.monotonic(), time.thread_time()))
        return wait_s

    Arrivals.start_due = noting  # type: ignore[method-assign]
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Null])
    curve = RateCurve.of(parse_rate_stages(f"0s:{arguments.rate}/s,{arguments.seconds}s:{arguments.rate}/s"))
    executor = OpenExecutor({"Null": ArrivalLoad(curve, 1_000)})
    Run(environment, executor, LocalGenerator(environment), test="steps").run()
    pairs = list(pairwise(_steps))
    print(f"{len(_delays):,} iterations, {len(pairs):,} looks; ms at 50 %, 99 %, 99.9 %, 100 %")
    print("late                    ", _quantiles(_delays))
    print("wall time between looks ", _quantiles([later[0] - earlier[0] for earlier, later in pairs]))
    print("CPU time between looks  ", _quantiles([later[1] - earlier[1] for earlier, later in pairs]))


if __name__ == "__main__":
    main()
