"""A class with `fixed_count` gets that many users, the others share the rest by weight."""
# run: -u 7 -r 100
# run: -u 2 -r 100
# order: any

import gevent
import observing
from locust import HttpUser, events, task


class Base(HttpUser):
    abstract = True

    def on_start(self):
        self.client.get("/" + type(self).__name__)

    @task
    def page(self):
        gevent.sleep(30)


class Fixed(Base):
    fixed_count = 2


class Rest(Base):
    weight = 2


class Other(Base):
    weight = 3


@events.spawning_complete.add_listener
def spawned(user_count, **kwargs):
    observing.note("spawned", user_count)
    gevent.spawn_later(0.3, observing.end, environment_of[0])


environment_of = []


@events.init.add_listener
def on_init(environment, **kwargs):
    environment_of.append(environment)
