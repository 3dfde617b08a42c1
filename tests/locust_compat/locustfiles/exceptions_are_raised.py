"""With `environment.catch_exceptions = False` an exception of a task ends the user."""
# order: any

import observing
from locust import HttpUser, events, task


@events.init.add_listener
def on_init(environment, **kwargs):
    environment.catch_exceptions = False
    observing.note("now", environment.catch_exceptions)


class Visitor(HttpUser):
    @task
    def page(self):
        self.client.get("/")
        observing.end(self.environment)
        raise ValueError("not caught")
