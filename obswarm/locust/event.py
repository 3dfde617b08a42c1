"""`locust.event`."""

from obswarm.api import EventHook, Events, events

__all__ = ["EventHook", "Events", "events"]
