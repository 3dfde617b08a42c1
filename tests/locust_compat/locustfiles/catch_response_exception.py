"""Any other exception in a catch_response block."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        with self.client.get("/page", catch_response=True):
            raise KeyError("not there")
