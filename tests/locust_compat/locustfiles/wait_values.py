"""What wait-time functions return, and old ways of giving them."""

import observing
from locust import HttpUser, TaskSet, between, constant, constant_pacing, constant_throughput, task


class Steps(TaskSet):
    wait_time = constant(0.01)

    @task
    def page(self):
        observing.iteration(self.user, 2)
        observing.note("wait time of the TaskSet", self.wait_time() == 0.01)
        self.wait()
        self._sleep(0)
        self.client.get("/")


class Visitor(HttpUser):
    tasks = [Steps]
    wait_time = constant(5)

    def on_start(self):
        observing.note("constant", constant(3)(self) == 3)
        observing.note("between", all(1 <= between(1, 2)(self) <= 2 for _ in range(50)))
        pacing = constant_pacing(10)
        first, second = pacing(self), pacing(self)
        observing.note("pacing", first == 0, 9 < second <= 10)
        throughput = constant_throughput(0.1)
        observing.note("throughput", throughput(self) >= 0, 9 < throughput(self) <= 10)
