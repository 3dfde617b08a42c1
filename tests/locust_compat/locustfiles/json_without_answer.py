"""`json()` of a response that did not come is caught as that of one that is no JSON."""

from json import JSONDecodeError

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        for url in ("/notjson", "http://127.0.0.1:1/nobody"):
            with self.client.get(url, name=url[-6:], catch_response=True) as response:
                observing.note("content", response.content is None, response.status_code)
                try:
                    response.json()
                except JSONDecodeError as error:
                    observing.note("caught", type(error).__name__)
                    response.failure("it is no JSON")
