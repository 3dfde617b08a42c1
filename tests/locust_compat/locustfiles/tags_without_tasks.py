"""Tags that leave a class without tasks."""
# run: -u 2 -r 50 -T kept
# order: any

import observing
from locust import HttpUser, constant, tag, task


class Kept(HttpUser):
    @tag("kept")
    @task
    def page(self):
        observing.iteration(self, 2, users=1)
        self.client.get("/kept")


class Empty(HttpUser):
    wait_time = constant(30)

    @tag("other")
    @task
    def page(self):
        self.client.get("/empty")
