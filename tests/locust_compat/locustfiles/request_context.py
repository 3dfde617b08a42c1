"""`context=` of a request and `context()` of the user come with the request event."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    def context(self):
        return {"username": "ann"}

    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/plain")
        self.client.get("/with", context={"order": 7})
        with self.client.get("/block", catch_response=True, context={"order": 8}) as response:
            response.request_meta["context"]["found"] = response.text
