"""What changes the statistics: log_request, log_error, clear_all, reset_all."""

import observing
from locust import HttpUser, events, task


@events.test_stop.add_listener
def stopped(environment, **kwargs):
    stats = environment.stats
    observing.note("before", stats.total.num_requests, len(stats.entries), len(stats.errors))
    stats.log_request("own", "logged", 12, 34)
    stats.log_request("own", "logged", None, 0)
    stats.log_error("own", "logged", ValueError("logged"))
    entry = stats.get("logged", "own")
    observing.note(
        "logged", entry.num_requests, entry.num_none_requests, entry.num_failures, entry.total_content_length
    )
    observing.note("after", stats.total.num_requests, stats.total.num_failures, len(stats.entries), len(stats.errors))


@events.quitting.add_listener
def quitting(environment, **kwargs):
    stats = environment.stats
    observing.note("quitting", stats.total.num_requests, len(stats.entries))


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/page")
        self.client.get("/status/404")
