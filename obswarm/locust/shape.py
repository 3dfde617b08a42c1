"""`locust.shape`."""

from obswarm.api import LoadTestShape

LoadTestShapeMeta = type(LoadTestShape)
"""The metaclass of shapes, for those that have one of their own."""

__all__ = ["LoadTestShape", "LoadTestShapeMeta"]
