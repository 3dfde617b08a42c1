"""PERCENTILES_TO_REPORT chooses the columns of percentiles."""

import locust.stats
import observing
from locust import HttpUser, task

locust.stats.PERCENTILES_TO_REPORT = [0.5, 0.9, 0.999]


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/")
