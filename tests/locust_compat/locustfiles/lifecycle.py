"""The runner's state and counts at each event."""
# run: -u 3 -r 100

import gevent
import observing
from locust import HttpUser, constant, events, task

environments = []


@events.init.add_listener
def on_init(environment, **kwargs):
    environments.append(environment)
    runner = environment.runner
    observing.note("init", runner.state, runner.user_count, runner.environment is environment)


def look(name):
    runner = environments[0].runner
    observing.note(name, runner.state, runner.user_count, runner.target_user_count, runner.user_classes_count)


@events.test_start.add_listener
def test_start(**kwargs):
    look("test_start")


@events.spawning_complete.add_listener
def spawning_complete(**kwargs):
    runner = environments[0].runner
    observing.note("spawning_complete", runner.user_count, runner.target_user_count)
    gevent.spawn_later(0.4, middle)


def middle():
    look("middle")
    observing.end(environments[0])


@events.test_stopping.add_listener
def test_stopping(**kwargs):
    look("test_stopping")


@events.test_stop.add_listener
def test_stop(**kwargs):
    observing.note("test_stop", environments[0].runner.state, environments[0].runner.user_count)


@events.quitting.add_listener
def quitting(**kwargs):
    observing.note("quitting", environments[0].runner.state, environments[0].runner.user_count)


class Visitor(HttpUser):
    wait_time = constant(30)

    @task
    def page(self):
        self.client.get("/")
