"""--config-users changes classes by JSON."""
# run: -u 6 -r 50 --config-users '{"user_class_name": "First", "fixed_count": 2}' '{"user_class_name": "Second", "weight": 3}'
# order: any

import observing
from locust import HttpUser, task


class Base(HttpUser):
    abstract = True

    @task
    def page(self):
        observing.iteration(self, 2, users=6)
        self.client.get("/" + type(self).__name__)


class First(Base):
    pass


class Second(Base):
    pass


class Third(Base):
    pass
