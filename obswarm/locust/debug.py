"""`locust.debug`."""

from obswarm.api import run_single_user

__all__ = ["run_single_user"]
