"""on_start and on_stop of users and TaskSets, in their order; requests of on_stop are counted."""

import observing
from locust import HttpUser, TaskSet, task


class Section(TaskSet):
    def on_start(self):
        self.client.get("/section/start")

    def on_stop(self):
        self.client.get("/section/stop")

    @task
    def page(self):
        observing.iteration(self.user, 2)
        self.client.get("/section/page")


class Visitor(HttpUser):
    tasks = [Section]

    def on_start(self):
        self.client.get("/user/start")

    def on_stop(self):
        self.client.get("/user/stop")
