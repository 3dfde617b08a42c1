"""The end by --run-time."""
# run: -u 2 -r 50 -t 1s -s 0
# order: any

import gevent
import observing
from locust import HttpUser, events, task


@events.test_stop.add_listener
def stopped(environment, **kwargs):
    observing.note("stopped", environment.runner.user_count)


class Visitor(HttpUser):
    def on_start(self):
        self.client.get("/start")

    def on_stop(self):
        self.client.get("/stop")

    @task
    def page(self):
        gevent.sleep(30)
