"""`locust.user.sequential_taskset`."""

from obswarm.api import SequentialTaskSet

__all__ = ["SequentialTaskSet"]
