"""`locust.shape`."""

from obswarm.api import LoadTestShape

__all__ = ["LoadTestShape"]
