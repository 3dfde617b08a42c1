"""runner.start with another number, and runner.stop, by the locustfile."""
# order: any
# run: -u 2 -r 50

import gevent
import observing
from locust import HttpUser, constant, events, task

environments = []


@events.init.add_listener
def on_init(environment, **kwargs):
    environments.append(environment)


started = []


@events.spawning_complete.add_listener
def spawned(user_count, **kwargs):
    runner = environments[0].runner
    started.append(user_count)
    if len(started) == 1:
        gevent.spawn_later(0.3, runner.start, 4, 100)
    elif len(started) == 2:
        gevent.spawn_later(0.3, runner.start, 1, 100)
    elif len(started) == 3:
        gevent.spawn_later(0.3, observing.end, environments[0])


class Visitor(HttpUser):
    wait_time = constant(30)

    def on_start(self):
        self.client.get("/start")

    def on_stop(self):
        self.client.get("/stop")

    @task
    def page(self):
        pass
