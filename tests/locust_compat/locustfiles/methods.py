"""All methods, with bodies of all kinds."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        self.client.get("/get", params={"a": 1, "b": ["x", "y"]})
        self.client.post("/post", data={"key": "value", "other": "ü"})
        self.client.post("/post", json={"key": [1, 2.5, None, "ü"]})
        self.client.post("/post", data="text")
        self.client.post("/post", data=b"\x00\x01", headers={"Content-Type": "application/octet-stream"})
        self.client.post("/post", files={"file": ("name.txt", b"content", "text/plain")}, data={"field": "1"})
        self.client.put("/put", json={})
        self.client.patch("/patch", data="patch")
        self.client.delete("/delete")
        self.client.head("/head")
        self.client.options("/options")
        self.client.request("GET", "/request")
        self.client.request(method="POST", url="/request", data="x")
        self.client.get("/headers", headers={"X-One": "1", "Accept": "text/html"})
        self.client.get("/cookies", cookies={"a": "1"})
        self.client.get("/login", auth=("ann", "secret"))
