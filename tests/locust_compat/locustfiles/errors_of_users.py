"""events.user_error, and an exception that ends in the log once."""

import observing
from locust import HttpUser, events, task


@events.user_error.add_listener
def error(user_instance, exception, tb, **kwargs):
    observing.note("error", exception, tb is not None, hasattr(user_instance, "client"), sorted(kwargs))


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/")
        raise LookupError("found nothing")
