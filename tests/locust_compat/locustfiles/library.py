"""A program that makes a run itself."""
# start: python
# order: any

try:
    import obswarm.locust

    obswarm.locust.install()
except ImportError:
    pass  # Locust's own Python.

import gevent
import observing
from locust import HttpUser, events, task
from locust.env import Environment
from locust.stats import stats_history, stats_printer


class Visitor(HttpUser):
    host = observing.TARGET
    turn = 0

    @task
    def page(self):
        self.turn += 1
        if self.turn > 3:
            gevent.sleep(30)
        self.client.get("/page")
        self.client.get("/status/404")


environment = Environment(user_classes=[Visitor], events=events)
runner = environment.create_local_runner()
environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
observing.note("before", runner.state, runner.user_count)
runner.start(2, spawn_rate=100)
gevent.spawn(stats_printer(environment.stats))
gevent.spawn(stats_history, environment.runner)


@environment.events.spawning_complete.add_listener
def spawned(user_count):
    gevent.spawn_later(0.8, look)


def look():
    observing.note("while", runner.state, runner.user_count, runner.user_classes_count)
    gevent.spawn_later(0.3, runner.quit)


runner.greenlet.join()
total = environment.stats.total
observing.note("after", runner.state, total.num_requests, total.num_failures, len(environment.stats.errors))
