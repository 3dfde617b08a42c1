"""A shape and --run-time: the shape counts."""
# run: -t 1s
# order: any

import observing
from locust import HttpUser, LoadTestShape, constant, task


class Steps(LoadTestShape):
    ticks = 0

    def tick(self):
        self.ticks += 1
        observing.note("tick", self.ticks)
        return (1, 100) if self.ticks < 4 else None


class Visitor(HttpUser):
    wait_time = constant(30)

    @task
    def page(self):
        self.client.get("/")
