"""register_message and send_message in a run of one process."""

import observing
from locust import HttpUser, events, task


def heard(environment, msg, **kwargs):
    observing.note("heard", msg.type, msg.data, environment.runner is not None, sorted(kwargs))
    observing.end(environment)


@events.init.add_listener
def on_init(environment, **kwargs):
    environment.runner.register_message("greeting", heard)


@events.test_start.add_listener
def started(environment, **kwargs):
    environment.runner.send_message("greeting", {"text": "hello"})


class Visitor(HttpUser):
    def wait_time(self):
        return 30

    @task
    def page(self):
        self.client.get("/")
