"""Cookies of a FastHttpUser."""
# run: -u 2 -r 50
# order: any

import observing
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    numbers = iter(range(10))

    def on_start(self):
        number = next(self.numbers)
        self.client.get(f"/cookie/{number}")
        observing.note("cookies", [cookie.name for cookie in self.client.cookiejar])

    @task
    def page(self):
        observing.iteration(self, 2, users=2)
        self.client.get("/page")
