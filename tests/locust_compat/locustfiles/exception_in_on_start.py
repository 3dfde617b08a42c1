"""An exception in on_start ends that user."""
# run: -u 2 -r 50
# order: any

import observing
from locust import HttpUser, task


class Broken(HttpUser):
    def on_start(self):
        self.client.get("/broken/start")
        raise RuntimeError("cannot start")

    @task
    def page(self):
        self.client.get("/broken/page")


class Whole(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/whole")
