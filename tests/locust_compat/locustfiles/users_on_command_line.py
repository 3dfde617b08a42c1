"""User classes are chosen by names at the end of the command line, or by LOCUST_USER_CLASSES."""
# run: -u 4 -r 100 Second
# run: -u 4 -r 100 First Third
# order: any

import observing
from locust import HttpUser, task


class Base(HttpUser):
    abstract = True

    @task
    def page(self):
        observing.iteration(self, 2, users=4)
        self.client.get("/" + type(self).__name__)


class First(Base):
    pass


class Second(Base):
    pass


class Third(Base):
    pass
