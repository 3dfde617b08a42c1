"""`locust.user.markov_taskset`."""

from obswarm.api import MarkovTaskSet, transition, transitions
from obswarm.api.markov import InvalidTransitionError, MarkovTaskTagError, NoMarkovTasksError

MarkovTaskSetMeta = type(MarkovTaskSet)
"""The metaclass of MarkovTaskSets, for those that have one of their own."""

__all__ = [
    "InvalidTransitionError",
    "MarkovTaskSet",
    "MarkovTaskSetMeta",
    "MarkovTaskTagError",
    "NoMarkovTasksError",
    "transition",
    "transitions",
]
