"""A host with a path of its own, and a slash at its end."""
# run: --no-host -H TARGET/api/

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    host = "http://127.0.0.1:9"

    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/page")
        self.client.get("other")
        observing.note("host", self.host, self.environment.host, self.client.base_url)
