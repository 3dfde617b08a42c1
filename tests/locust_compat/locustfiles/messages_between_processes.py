"""Messages between a master and its workers, custom report data, and the events of both."""
# run: --processes 2 -u 2 -r 50
# order: any

import gevent
import observing
from locust import HttpUser, events, task
from locust.runners import MasterRunner, WorkerRunner


def on_worker(environment, msg, **kwargs):
    observing.note("worker heard", msg.type, msg.data)
    environment.runner.send_message("answer", f"thanks for {len(msg.data)}")


answers = []


def on_master(environment, msg, **kwargs):
    observing.note("master heard", msg.type, msg.data)
    answers.append(msg)
    if len(answers) == 2:
        gevent.spawn_later(1.5, environment.runner.quit)


@events.init.add_listener
def on_init(environment, **kwargs):
    observing.note("is a master", isinstance(environment.runner, MasterRunner))
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message("work", on_worker)
    else:
        environment.runner.register_message("answer", on_master)


@events.spawning_complete.add_listener
def spawned(**kwargs):
    pass


@events.test_start.add_listener
def started(environment, **kwargs):
    if isinstance(environment.runner, MasterRunner):
        observing.note("workers", environment.runner.worker_count)
        environment.runner.send_message("work", ["a", "b"])


class Visitor(HttpUser):
    def wait_time(self):
        return 30

    @task
    def page(self):
        self.client.get("/")
