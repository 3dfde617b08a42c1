"""RescheduleTask and StopUser in a catch_response block."""

import observing
from locust import HttpUser, task
from locust.exception import RescheduleTask


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        with self.client.get("/page", catch_response=True) as response:
            response.failure("again")
            raise RescheduleTask()
