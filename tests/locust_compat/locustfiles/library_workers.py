"""A program that is a master and two workers: one run after the other, messages, and the end of all."""
# start: python
# order: any

try:
    import obswarm.locust

    obswarm.locust.install()
except ImportError:
    pass  # Locust's own Python.

import gevent
import observing
from gevent import socket
from locust import HttpUser, task
from locust.env import Environment


class Visitor(HttpUser):
    turn = 0

    @task
    def page(self):
        self.turn += 1
        if self.turn > 3:
            gevent.sleep(30)
        self.client.get("/page")
        self.client.get("/status/404")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition):
    for _ in range(2000):
        if condition():
            return
        gevent.sleep(0.01)
    observing.note("never", condition.__name__)


port = free_port()
environment = Environment(user_classes=[Visitor], host=observing.TARGET)
master = environment.create_master_runner("127.0.0.1", port)
workers = [Environment(user_classes=[Visitor]).create_worker_runner("127.0.0.1", port) for _ in range(2)]
for name in ("test_start", "spawning_complete", "test_stopping", "test_stop", "quitting", "quit"):
    getattr(environment.events, name).add_listener(lambda name=name, **values: observing.note("fired", name, values))
answers = []
master.register_message("answer", lambda environment, msg, **_: answers.append(msg.data))
for worker in workers:
    worker.register_message(
        "question", lambda environment, msg, **_: environment.runner.send_message("answer", msg.data["number"] + 1)
    )
until(lambda: len(master.clients.ready) == 2)
until(lambda: all(worker.worker_index >= 0 for worker in workers))
observing.note("ready", master.state, master.user_count, master.worker_count, sorted(w.worker_index for w in workers))
for number in range(2):
    master.start(4, spawn_rate=100)
    until(lambda: master.stats.total.num_requests == 24)
    observing.note("while", master.state, master.user_count, master.target_user_count)
    observing.note("on workers", [(w.state, w.user_count, w.environment.host == observing.TARGET) for w in workers])
    master.send_message("question", {"number": number})
    wanted = len(answers) + 2
    until(lambda wanted=wanted: len(answers) == wanted)
    master.stop()
    observing.note("stopped", master.state, master.user_count, sorted(answers), master.worker_count)
    total = environment.stats.total
    observing.note("counted", total.num_requests, total.num_failures, len(environment.stats.errors))
master.quit()
for runner in (master, *workers):
    runner.greenlet.join(timeout=30)
    observing.note("greenlets", len(runner.greenlet))
