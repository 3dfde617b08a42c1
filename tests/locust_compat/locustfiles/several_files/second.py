"""The other file."""

import observing
from locust import HttpUser, task


class Second(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2, users=2)
        self.client.get("/second")
