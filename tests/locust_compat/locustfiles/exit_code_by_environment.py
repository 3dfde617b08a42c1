"""`environment.process_exit_code` set in a listener of quitting."""

import observing
from locust import HttpUser, events, task


@events.quitting.add_listener
def quitting(environment, **kwargs):
    total = environment.stats.total
    observing.note("total", total.num_requests, total.num_failures, total.fail_ratio == 0.5)
    if environment.stats.total.fail_ratio > 0.01:
        environment.process_exit_code = 7
    elif total.get_response_time_percentile(0.95) > 800:
        environment.process_exit_code = 8


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/page")
        self.client.get("/status/500")
