"""The steps of a visitor."""

import observing
from locust import SequentialTaskSet, task


class Steps(SequentialTaskSet):
    @task
    def first(self):
        observing.iteration(self.user, 3)
        self.client.get("/first")
