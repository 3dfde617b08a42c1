"""When users are started: -r 5."""
# run: -u 5 -r 5
# order: any

import time

import gevent
import observing
from locust import HttpUser, constant, events, task

started = []


@events.spawning_complete.add_listener
def complete(**kwargs):
    gevent.spawn_later(0.3, compare)


def compare():
    observing.note("all within 0.4 s", max(started) - min(started) < 0.4)


class Visitor(HttpUser):
    wait_time = constant(0.3)

    def on_start(self):
        started.append(time.monotonic())

    @task
    def page(self):
        observing.iteration(self, 3, users=5)
        self.client.get("/")
