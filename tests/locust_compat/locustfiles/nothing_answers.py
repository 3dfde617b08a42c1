"""A target that is not there."""
# run: --no-host -H http://127.0.0.1:9

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/page")
