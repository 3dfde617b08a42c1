"""A LoadTestShape: ticks, users, spawn rate, and the end by None."""
# order: any
# run: --no-time

import observing
from locust import HttpUser, LoadTestShape, constant, events, task


class Steps(LoadTestShape):
    abstract = False
    ticks = 0

    def tick(self):
        self.ticks += 1
        if self.ticks == 1:
            observing.note("first", self.get_run_time() < 1, self.get_current_user_count(), type(self.runner).__name__)
            return (3, 100)
        if self.ticks == 2:
            observing.note("second", self.get_current_user_count())
            return (5, 100)
        if self.ticks == 3:
            return (1, 100)
        return None


@events.spawning_complete.add_listener
def spawned(user_count, **kwargs):
    observing.note("spawned", user_count)


class Visitor(HttpUser):
    wait_time = constant(30)

    def on_start(self):
        self.client.get("/start")

    @task
    def page(self):
        pass
