"""sys.exit in a listener of test_start."""

import sys

import observing
from locust import HttpUser, events, task


@events.init.add_listener
def started(environment, **kwargs):
    observing.note("exits")
    sys.exit(5)


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/")
