"""`locust.user.sequential_taskset`."""

from obswarm.api import SequentialTaskSet

SequentialTaskSetMeta = type(SequentialTaskSet)
"""The metaclass of SequentialTaskSets, for those that have one of their own."""

__all__ = ["SequentialTaskSet", "SequentialTaskSetMeta"]
