"""`environment.stop_timeout` set by the locustfile."""
# run: -t 1s

import gevent
from locust import HttpUser, events, task


@events.init.add_listener
def on_init(environment, **kwargs):
    environment.stop_timeout = 5


class Visitor(HttpUser):
    @task
    def page(self):
        gevent.sleep(1.5)
        self.client.get("/late")
