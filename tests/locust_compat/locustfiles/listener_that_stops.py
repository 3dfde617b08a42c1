"""A listener of request that ends the run at a count of failures."""
# run: -u 1 -r 50

import gevent
import observing
from locust import HttpUser, events, task

failures = []


@events.init.add_listener
def on_init(environment, **kwargs):
    @environment.events.request.add_listener
    def requested(exception, name, **kwargs):
        if exception is not None:
            failures.append(name)
            if len(failures) == 3:
                environment.process_exit_code = 3
                observing.end(environment)


class Visitor(HttpUser):
    @task
    def page(self):
        if len(failures) >= 3:
            gevent.sleep(30)
        self.client.get("/status/503")
