"""Tasks of a SequentialTaskSet run in the order of the file, again and again; weights repeat them."""

import observing
from locust import HttpUser, SequentialTaskSet, task


class Steps(SequentialTaskSet):
    @task
    def one(self):
        observing.iteration(self.user, 9)
        self.client.get("/one")

    @task(2)
    def two(self):
        observing.iteration(self.user, 9)
        self.client.get("/two")

    @task
    class Third(SequentialTaskSet):
        @task
        def three(self):
            observing.iteration(self.user, 9)
            self.client.get("/three")
            self.interrupt()


class Visitor(HttpUser):
    tasks = [Steps]
