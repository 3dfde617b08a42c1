"""Wait times between tasks, as functions of the user (or TaskSet) that waits; all in seconds."""

import random
from collections.abc import Callable
from typing import Any

from obswarm import clock
from obswarm.stats.keys import PACING

WaitTime = Callable[[Any], float]


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} has to be a number of seconds that is not negative, not {value!r}")


def between(min_wait: float, max_wait: float) -> WaitTime:
    """A random time, uniform between the two."""
    _not_negative(min_wait=min_wait, max_wait=max_wait)
    if max_wait < min_wait:
        raise ValueError(f"between({min_wait}, {max_wait}): the first number has to be the smaller one")
    span = max_wait - min_wait
    return lambda instance: min_wait + random.random() * span


def constant(wait_time: float) -> WaitTime:
    """Always the same time, counted from the end of the task."""
    _not_negative(wait_time=wait_time)
    return lambda instance: wait_time


def constant_pacing(wait_time: float) -> WaitTime:
    """As long as it takes for tasks to start `wait_time` apart; nothing when the task itself took longer.

    Tasks that could not be started because of that are counted as the run's shortfall.
    """
    _not_negative(wait_time=wait_time)

    def pacing(instance: Any) -> float:
        now = clock.monotonic()
        started: float = instance._iteration_started
        wait = wait_time - (now - started)
        if wait < 0:
            _fall_behind(instance, wait_time, -wait)
            wait = 0.0
        # The planned start, not the actual one: what a late wake-up costs is made good by the next wait.
        instance._iteration_started = now + wait
        return wait

    return pacing


def _fall_behind(instance: Any, wait_time: float, late_s: float) -> None:
    """Count the iterations for which a user is too late, whole ones; the rest stays with it."""
    if wait_time <= 0:
        return
    missed = instance._missed + late_s / wait_time
    whole = int(missed)
    instance._missed = missed - whole
    if whole:
        user = getattr(instance, "user", instance)
        user.environment.recorder.record_dropped(type(user).__name__, PACING, whole)


def constant_throughput(task_runs_per_second: float) -> WaitTime:
    """As constant_pacing, given as a rate of tasks for each user."""
    if not task_runs_per_second > 0:
        raise ValueError(f"constant_throughput({task_runs_per_second}): the rate has to be above 0")
    return constant_pacing(1 / task_runs_per_second)


def poisson(rate: float) -> WaitTime:
    """Exponentially distributed times with a mean of 1/rate, so that each user's tasks are a Poisson process."""
    if not rate > 0:
        raise ValueError(f"poisson({rate}): the rate has to be above 0")
    return lambda instance: random.expovariate(rate)
