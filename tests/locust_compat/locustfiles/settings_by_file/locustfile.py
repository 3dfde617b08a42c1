"""locust.conf in the working folder."""
# run: --no-file
# order: any

import observing
from locust import HttpUser, tag, task


class Visitor(HttpUser):
    @tag("read")
    @task
    def page(self):
        observing.iteration(self, 2, users=3)
        self.client.get("/status/404")

    @task
    def other(self):
        self.client.get("/other")
