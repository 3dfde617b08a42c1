"""`context=` of a FastHttpUser's request."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    def context(self):
        return {"username": "ann"}

    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/plain")
        self.client.get("/with", context={"order": 7})
