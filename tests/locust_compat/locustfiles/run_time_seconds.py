"""--run-time as a number, and in parts."""
# run: -t 1 -s 0
# run: -t 0h0m1s -s 0

import gevent
import observing
from locust import HttpUser, events, task


@events.init.add_listener
def on_init(environment, **kwargs):
    observing.note("seconds", environment.parsed_options.run_time)


class Visitor(HttpUser):
    @task
    def page(self):
        self.client.get("/")
        gevent.sleep(30)
