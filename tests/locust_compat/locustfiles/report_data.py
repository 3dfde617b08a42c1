"""Data that workers send with their reports, and a master that sums it."""
# run: --processes 2 -u 2 -r 50 -t 5s
# order: any

import observing
from locust import HttpUser, events, task
from locust.runners import MasterRunner, WorkerRunner

state = {"sent": 0, "received": 0}
environments = []


@events.init.add_listener
def on_init(environment, **kwargs):
    environments.append(environment)


@events.request.add_listener
def requested(response_length, **kwargs):
    state["sent"] += response_length


@events.report_to_master.add_listener
def to_master(client_id, data):
    data["bytes"] = state["sent"]
    state["sent"] = 0


@events.worker_report.add_listener
def from_worker(client_id, data):
    state["received"] += data["bytes"]


@events.quitting.add_listener
def quitting(environment, **kwargs):
    if isinstance(environment.runner, MasterRunner):
        observing.note("bytes", state["received"])
    observing.note("is a worker", isinstance(environment.runner, WorkerRunner))


class Visitor(HttpUser):
    turn = 0

    def wait_time(self):
        return 0 if self.turn < 4 else 30

    @task
    def page(self):
        self.turn += 1
        self.client.get("/bytes/100")
