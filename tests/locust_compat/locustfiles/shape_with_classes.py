"""A shape whose tick names user classes, and `use_common_options`."""
# run: --no-time -u 7 -r 50
# order: any

import observing
from locust import HttpUser, LoadTestShape, constant, task


class First(HttpUser):
    wait_time = constant(30)

    @task
    def page(self):
        self.client.get("/first")


class Second(HttpUser):
    wait_time = constant(30)

    @task
    def page(self):
        self.client.get("/second")


class Steps(LoadTestShape):
    use_common_options = True
    ticks = 0

    def tick(self):
        self.ticks += 1
        options = self.runner.environment.parsed_options
        if self.ticks == 1:
            observing.note("options", options.num_users, options.spawn_rate)
            return (2, 100, [First])
        if self.ticks == 2:
            return (5, 100, [Second])
        return None
