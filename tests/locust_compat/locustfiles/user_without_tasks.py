"""A user class without tasks, beside one with some."""
# run: -u 2 -r 50
# order: any

import observing
from locust import HttpUser, constant, task


class Empty(HttpUser):
    wait_time = constant(30)

    def on_start(self):
        self.client.get("/empty/start")


class Whole(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/whole")
