"""catch_response: success, failure with texts and exceptions, nothing said, both, and an exception in the block."""
# run: -u 1

import observing
from locust import HttpUser, task
from locust.exception import CatchResponseError


class Visitor(HttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        with self.client.get("/status/404", name="a 404 that is fine", catch_response=True) as response:
            response.success()
        with self.client.get("/fine", name="a 200 that is not", catch_response=True) as response:
            response.failure("not what I want")
        with self.client.get("/fine", name="with an exception", catch_response=True) as response:
            response.failure(CatchResponseError("an exception of mine"))
        with self.client.get("/fine", name="with a value error", catch_response=True) as response:
            response.failure(ValueError("a value"))
        with self.client.get("/fine", name="nothing said, 200", catch_response=True):
            pass
        with self.client.get("/status/500", name="nothing said, 500", catch_response=True):
            pass
        with self.client.get("/fine", name="failure, then success", catch_response=True) as response:
            response.failure("no")
            response.success()
        with self.client.get("/fine", name="success, then failure", catch_response=True) as response:
            response.success()
            response.failure("no")
