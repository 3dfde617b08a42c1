"""`events.request.measure` and the like: timing of a block by the event's own context manager."""

import observing
from locust import User, events, task


class Visitor(User):
    @task
    def call(self):
        observing.iteration(self, 1)
        with events.request.measure("own", "block") as meta:
            meta["response_length"] = 5
            meta["context"] = {"a": 1}
        try:
            with events.request.measure("own", "failing block"):
                raise ValueError("inside")
        except ValueError as error:
            observing.note("raised", error)
