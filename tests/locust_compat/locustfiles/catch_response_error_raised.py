"""CatchResponseError raised in a catch_response block."""

import observing
from locust import HttpUser, task
from locust.exception import CatchResponseError


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        with self.client.get("/page", catch_response=True) as response:
            if response.text == "ok":
                raise CatchResponseError("raised in the block")
