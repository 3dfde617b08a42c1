"""`rest` and `rest_` of an HttpUser."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        with self.rest("GET", "/json") as response:
            observing.note("js", response.js)
        with self.rest("POST", "/echo", json={"a": 1}) as response:
            observing.note("echoed", response.js["body"])
            if response.js["method"] != "PUT":
                response.failure("not PUT")
        with self.rest("GET", "/notjson", name="no JSON") as response:
            observing.note("no JSON", response.js)
        with self.rest("GET", "/status/404") as response:
            observing.note("404", response.js)
        with self.rest("GET", "/json", name="assert") as response:
            assert response.js["id"] == 43, "not 43"
        with self.rest_("GET", "/json") as response:
            observing.note("rest_", response.js["id"])
