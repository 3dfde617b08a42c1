"""The host of a class, when the command line has none."""
# run: --no-host -u 2 -r 50
# order: any

import observing
from locust import FastHttpUser, HttpUser, events, task


@events.test_start.add_listener
def started(environment, **kwargs):
    observing.note("host", environment.host)


class Plain(HttpUser):
    host = observing.TARGET

    @task
    def page(self):
        observing.iteration(self, 2, users=2)
        observing.note("base", self.client.base_url)
        self.client.get("/plain")


class Fast(FastHttpUser):
    host = observing.TARGET + "/base"

    @task
    def page(self):
        observing.iteration(self, 2, users=2)
        self.client.get("/fast")
