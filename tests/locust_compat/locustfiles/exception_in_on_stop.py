"""An exception in on_stop is reported."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    def on_stop(self):
        raise RuntimeError("cannot stop")

    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/")
