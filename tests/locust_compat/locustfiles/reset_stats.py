"""--reset-stats: what was before the last user is spawned is not counted."""
# run: -u 2 -r 1 --reset-stats
# order: any

import observing
from locust import HttpUser, events, task

spawned = []


@events.spawning_complete.add_listener
def complete(**kwargs):
    spawned.append(1)


class Visitor(HttpUser):
    numbers = iter(range(10))

    def on_start(self):
        if next(self.numbers) == 0:
            self.client.get("/before")

    def wait_time(self):
        return 0.05

    @task
    def page(self):
        if spawned:
            observing.iteration(self, 3, users=2)
            self.client.get("/after")
