"""LOCUST_… variables."""
# run:
# environ: LOCUST_USERS=3
# environ: LOCUST_SPAWN_RATE=50
# environ: LOCUST_EXIT_CODE_ON_ERROR=6
# order: any

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2, users=3)
        self.client.get("/status/404")
