"""Without a wait time tasks follow each other at once; a `wait_time` that is no function."""

import observing
from locust import HttpUser, User, task


class Visitor(HttpUser):
    def on_start(self):
        observing.note("wait", self.wait_time())
        observing.attempt("User.wait", self.wait)

    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/")


observing.note(
    "attributes", User.weight, User.fixed_count, User.abstract, User.host, HttpUser.abstract, Visitor.abstract
)
observing.note("names", Visitor.fullname(), sorted(Visitor.json()) if hasattr(Visitor, "json") else "no json")
