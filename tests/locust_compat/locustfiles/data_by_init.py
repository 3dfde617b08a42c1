"""Data that a listener of init prepares, and a teardown by quitting."""

import observing
from locust import HttpUser, events, task

data = {}


@events.init.add_listener
def on_init(environment, runner, web_ui, **kwargs):
    data["token"] = "abc"
    observing.note("init", runner is environment.runner, web_ui)


@events.quitting.add_listener
def first(environment, **kwargs):
    observing.note("first of quitting")


@events.quitting.add_listener
def second(environment, **kwargs):
    observing.note("second of quitting")


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/page", headers={"Authorization": "Bearer " + data["token"]})
