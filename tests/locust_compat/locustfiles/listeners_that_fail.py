"""Exceptions in listeners of test_start, request and test_stop."""

import observing
from locust import HttpUser, events, task


@events.test_start.add_listener
def started(**kwargs):
    raise ValueError("in test_start")


@events.request.add_listener
def requested(**kwargs):
    raise ValueError("in request")


@events.test_stop.add_listener
def stopped(**kwargs):
    raise ValueError("in test_stop")


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/")
