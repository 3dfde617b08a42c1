"""Cookies stay with their user."""
# run: -u 2 -r 50
# order: any

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    numbers = iter(range(10))

    def on_start(self):
        number = next(self.numbers)
        self.client.get(f"/cookie/{number}")
        observing.note("cookie", self.client.cookies.get("session"))

    @task
    def page(self):
        observing.iteration(self, 2, users=2)
        self.client.get("/page")
        self.client.cookies.set("mine", "1")
