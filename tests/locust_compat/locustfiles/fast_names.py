"""Names of requests of a FastHttpUser."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        for number in range(3):
            self.client.get(f"/blog?id={number}", name="/blog?id=[id]")
        self.client.get("/plain?query=1")
        self.client.get("/plain", params={"query": 1})
        self.client.get(observing.TARGET + "/absolute")
        with self.client.rename_request("/renamed"):
            self.client.get("/d")
            self.client.post("/e")
        self.client.get("/f")
