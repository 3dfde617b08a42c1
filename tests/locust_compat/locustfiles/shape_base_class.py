"""An abstract shape is not used; reset_time restarts its clock."""
# run: --no-time
# order: any

import abc

import observing
from locust import HttpUser, LoadTestShape, constant, task


class Base(LoadTestShape, abc.ABC):
    abstract = True

    @abc.abstractmethod
    def tick(self): ...


class Real(Base):
    ticks = 0

    def tick(self):
        self.ticks += 1
        if self.ticks == 2:
            before = self.get_run_time()
            self.reset_time()
            observing.note("reset", before > 0.9, self.get_run_time() < 0.1)
        return (2, 100) if self.ticks < 3 else None


class Visitor(HttpUser):
    wait_time = constant(30)

    @task
    def page(self):
        self.client.get("/")
