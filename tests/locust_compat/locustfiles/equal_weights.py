"""--equal-weights."""
# run: -u 4 -r 50 --equal-weights
# order: any

import observing
from locust import HttpUser, task


class Base(HttpUser):
    abstract = True

    @task
    def page(self):
        observing.iteration(self, 2, users=4)
        self.client.get("/" + type(self).__name__)


class Many(Base):
    weight = 9


class Few(Base):
    weight = 1
