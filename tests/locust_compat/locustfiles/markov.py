"""A MarkovTaskSet follows its transitions."""
# compare: proportions

import observing
from locust import HttpUser, MarkovTaskSet, task, transition, transitions


class Chain(MarkovTaskSet):
    @task
    @transition("middle")
    def first(self):
        observing.iteration(self.user, 600)
        self.client.get("/first")

    @task
    @transitions({"first": 1, "last": 3})
    def middle(self):
        observing.iteration(self.user, 600)
        self.client.get("/middle")

    @task
    @transitions([("first", 2), "middle"])
    def last(self):
        observing.iteration(self.user, 600)
        self.client.get("/last")


class Visitor(HttpUser):
    tasks = [Chain]
