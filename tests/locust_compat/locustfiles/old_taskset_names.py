"""What older locustfiles import: locust.user.task, locust.wait_time and the like."""

import observing
from locust.contrib.fasthttp import FastHttpUser
from locust.user import HttpUser, User
from locust.user.sequential_taskset import SequentialTaskSet
from locust.user.task import LOCUST_STATE_RUNNING, DefaultTaskSet, TaskSet, task
from locust.user.users import HttpUser as Same
from locust.user.wait_time import between, constant

observing.note(
    "same", Same is HttpUser, issubclass(HttpUser, User), issubclass(FastHttpUser, User), LOCUST_STATE_RUNNING
)
observing.note("sets", issubclass(SequentialTaskSet, TaskSet), issubclass(DefaultTaskSet, TaskSet))


class Visitor(HttpUser):
    wait_time = between(0, 0.01)

    @task
    def page(self):
        observing.iteration(self, 2)
        observing.note("state", self._state)
        self.client.get("/", name=str(constant(1)(self)))
