"""Settings of the requests session: headers, auth, proxies, verify, adapters, hooks."""

import observing
import requests
from locust import HttpUser, task


class Visitor(HttpUser):
    def on_start(self):
        self.client.headers.update({"X-Always": "1"})
        self.client.auth = ("ann", "secret")
        self.client.verify = False
        observing.note("session", isinstance(self.client, requests.Session))

    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/login")
        self.client.get("/page", headers={"X-Always": None})
        self.client.get(
            "/hook", hooks={"response": lambda response, **kwargs: observing.note("hook", response.status_code)}
        )
