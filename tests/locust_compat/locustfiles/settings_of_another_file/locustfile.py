"""--config chooses the file of settings, and the command line wins."""
# run: --no-file --config mine.conf -u 3
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
