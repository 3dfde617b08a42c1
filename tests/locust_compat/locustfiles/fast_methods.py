"""All methods of a FastHttpUser, with bodies of all kinds."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    default_headers = {"X-Default": "yes"}

    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        self.client.get("/get", params={"a": 1, "b": "y"})
        self.client.get("/get?x=1", params={"a": 1})
        self.client.post("/post", data={"key": "value", "other": "ü"})
        self.client.post("/post", json={"key": [1, 2.5, None, "u"]})
        self.client.post("/post", data="text")
        self.client.post("/post", data=b"\x00\x01", headers={"Content-Type": "application/octet-stream"})
        self.client.put("/put", json={})
        self.client.patch("/patch", data="patch")
        self.client.delete("/delete")
        self.client.head("/head")
        self.client.options("/options")
        self.client.request("GET", "/request")
        self.client.request(method="POST", url="/request", data="x")
        self.client.get("/headers", headers={"X-One": "1", "X-Default": "no"})
        self.client.get("/login", auth=("ann", "secret"))
