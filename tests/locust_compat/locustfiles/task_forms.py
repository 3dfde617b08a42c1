"""Forms of @task, and tasks that are not methods."""
# compare: proportions

import observing
from locust import HttpUser, TaskSet, task


def outside(user):
    observing.iteration_of_all(user, 400)
    user.client.get("/outside")


class Section(TaskSet):
    @task()
    def inside(self):
        observing.iteration_of_all(self.user, 400)
        self.client.get("/inside")
        self.interrupt()


class Visitor(HttpUser):
    tasks = {outside: 2, Section: 1}

    @task
    def plain(self):
        observing.iteration_of_all(self, 400)
        self.client.get("/plain")

    @task()
    def called(self):
        observing.iteration_of_all(self, 400)
        self.client.get("/called")

    @task(weight=2)
    def weighted(self):
        observing.iteration_of_all(self, 400)
        self.client.get("/weighted")


observing.note("tasks", len(Visitor.tasks))
