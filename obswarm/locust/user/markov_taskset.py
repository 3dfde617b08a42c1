"""`locust.user.markov_taskset`."""

from obswarm.api import MarkovTaskSet, transition, transitions

__all__ = ["MarkovTaskSet", "transition", "transitions"]
