"""Names of requests: the path, `name=`, `request_name`, `rename_request`, absolute URLs, queries."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        for number in range(3):
            self.client.get(f"/blog?id={number}", name="/blog?id=[id]")
        self.client.get("/plain?query=1")
        self.client.get("/plain", params={"query": 1})
        self.client.get(observing.TARGET + "/absolute")
        self.client.request_name = "/grouped"
        self.client.get("/a")
        self.client.get("/b")
        self.client.get("/c", name="named")
        self.client.request_name = None
        with self.client.rename_request("/renamed"):
            self.client.get("/d")
            self.client.post("/e")
        self.client.get("/f")
