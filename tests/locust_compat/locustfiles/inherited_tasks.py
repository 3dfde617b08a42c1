"""Tasks are inherited, also from a mixin."""
# compare: proportions

import observing
from locust import HttpUser, task


class Mixin:
    @task
    def mixed(self):
        observing.iteration(self, 300)
        self.client.get("/mixed")


class Base(HttpUser):
    abstract = True

    @task(2)
    def based(self):
        observing.iteration(self, 300)
        self.client.get("/based")


class Visitor(Mixin, Base):
    @task
    def own(self):
        observing.iteration(self, 300)
        self.client.get("/own")


observing.note("tasks", sorted(task.__name__ for task in Visitor.tasks))
