"""`self.stop()` and `self.stop(force=True)` of a user."""
# run: -u 2 -r 50
# order: any

import gevent
import observing
from locust import HttpUser, constant, task


class Gentle(HttpUser):
    wait_time = constant(30)

    def on_stop(self):
        observing.note("gentle stops")

    @task
    def page(self):
        self.client.get("/gentle/before")
        self.stop()
        self.client.get("/gentle/after")


class Forced(HttpUser):
    wait_time = constant(30)

    def on_stop(self):
        observing.note("forced stops")

    @task
    def page(self):
        self.client.get("/forced/before")
        gevent.spawn(self.stop, force=True)
        gevent.sleep(0.4)
        self.client.get("/forced/after")

    def on_start(self):
        gevent.spawn_later(0.8, observing.end, self.environment)
