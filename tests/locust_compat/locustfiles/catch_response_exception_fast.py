"""Any other exception in a catch_response block of a FastHttpUser."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        with self.client.get("/page", catch_response=True):
            raise KeyError("not there")
