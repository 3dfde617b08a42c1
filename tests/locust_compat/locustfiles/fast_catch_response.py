"""catch_response of a FastHttpUser."""

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def all_of_them(self):
        observing.iteration(self, 1)
        with self.client.get("/status/404", name="a 404 that is fine", catch_response=True) as response:
            response.success()
        with self.client.get("/fine", name="a 200 that is not", catch_response=True) as response:
            response.failure("not what I want")
        with self.client.get("/fine", name="with a value error", catch_response=True) as response:
            response.failure(ValueError("a value"))
        with self.client.get("/status/500", name="nothing said, 500", catch_response=True):
            pass
        with self.client.get("/fine", name="failure, then success", catch_response=True) as response:
            response.failure("no")
            response.success()
        with self.client.get("/fine", name="success, then failure", catch_response=True) as response:
            response.success()
            response.failure("no")
        with self.client.get("/json", catch_response=True) as response:
            if response.json()["id"] != 43 or response.js["id"] != 43:
                response.failure("not 43")
