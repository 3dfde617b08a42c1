"""Users are given out by the weights of their classes."""
# run: -u 12 -r 100
# order: any

import observing
from locust import HttpUser, task


class Base(HttpUser):
    abstract = True

    @task
    def page(self):
        observing.iteration(self, 2, users=12)
        self.client.get("/" + type(self).__name__)


class Many(Base):
    weight = 3


class Few(Base):
    weight = 1
