"""A session of requests beside the user's client is not counted."""

import observing
import requests
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/counted")
        session = requests.Session()
        session.get(self.host + "/not-counted")
        prepared = requests.Request("GET", self.host + "/prepared").prepare()
        observing.note("status", self.client.send(prepared).status_code)
