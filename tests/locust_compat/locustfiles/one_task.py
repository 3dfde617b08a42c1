"""The smallest locustfile: one user, one task, some requests."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    def on_start(self):
        self.client.get("/start")

    def on_stop(self):
        self.client.get("/stop")

    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/page")
