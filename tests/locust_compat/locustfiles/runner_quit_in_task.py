"""`self.environment.runner.quit()` in a task ends the run at once."""

import observing
from locust import HttpUser, events, task


@events.quitting.add_listener
def quitting(environment, **kwargs):
    observing.note("requests", environment.stats.total.num_requests)


class Visitor(HttpUser):
    @task
    def page(self):
        self.client.get("/")
        self.environment.runner.quit()
        observing.note("after quit")
        self.client.get("/after")
