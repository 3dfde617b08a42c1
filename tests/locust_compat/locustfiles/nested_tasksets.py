"""A TaskSet in a TaskSet, with `interrupt`, `parent` and `user`."""

import observing
from locust import HttpUser, SequentialTaskSet, TaskSet, task


class Inner(SequentialTaskSet):
    def on_start(self):
        observing.note("inner starts", type(self.parent).__name__, type(self.user).__name__)

    def on_stop(self):
        observing.note("inner stops")

    @task
    def first(self):
        self.client.get("/inner/1")

    @task
    def second(self):
        self.client.get("/inner/2")
        self.interrupt()


class Outer(TaskSet):
    def on_start(self):
        observing.note("outer starts", self.parent is self.user, self.client is self.user.client)

    def on_stop(self):
        observing.note("outer stops")

    tasks = [Inner]


class Visitor(HttpUser):
    tasks = [Outer]
    rounds = 0

    def wait_time(self):
        self.rounds += 1
        if self.rounds == 6:
            observing.end(self.environment)
            return 30
        return 0
