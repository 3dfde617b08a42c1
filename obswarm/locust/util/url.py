"""`locust.util.url`."""

from obswarm.engine import is_url

__all__ = ["is_url"]
