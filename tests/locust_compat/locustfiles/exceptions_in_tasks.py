"""An exception in a task is reported with its text and count, and the user continues."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    turn = 0

    @task
    def page(self):
        observing.iteration(self, 4)
        self.turn += 1
        self.client.get("/before")
        if self.turn % 2:
            raise ValueError("no such thing")
        {}["key"]
