"""between, constant, constant_pacing, constant_throughput, and a method of the class's own."""
# run: -u 5 -r 100
# order: any

import time

import observing
from locust import HttpUser, between, constant, constant_pacing, constant_throughput, task


class Base(HttpUser):
    abstract = True
    at_s = None
    low_s = high_s = 0.0

    @task
    def page(self):
        now = time.monotonic()
        if self.at_s is not None:
            apart = now - self.at_s
            observing.note(type(self).__name__, apart >= self.low_s - 0.06, apart <= self.high_s + 1)
        self.at_s = now
        observing.iteration(self, 3, users=5)
        time.sleep(0.05)
        self.client.get("/" + type(self).__name__)


class Between(Base):
    wait_time = between(0.1, 0.2)
    low_s, high_s = 0.15, 0.25


class Constant(Base):
    wait_time = constant(0.1)
    low_s = high_s = 0.15


class Pacing(Base):
    wait_time = constant_pacing(0.2)
    low_s = high_s = 0.2


class Throughput(Base):
    wait_time = constant_throughput(5)
    low_s = high_s = 0.2


class Own(Base):
    waits = 0

    def wait_time(self):
        self.waits += 1
        return 0.02 * self.waits

    low_s = 0.07
    high_s = 0.15
