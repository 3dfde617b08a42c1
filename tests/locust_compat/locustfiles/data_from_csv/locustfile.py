"""Data of a CSV file beside the locustfile, shared by users through a queue."""
# run: -u 3 -r 50
# order: any

import csv
import pathlib

import observing
from gevent.queue import Queue
from locust import HttpUser, task

people = Queue()
with (pathlib.Path(__file__).parent / "people.csv").open() as file:
    for row in csv.DictReader(file):
        people.put(row)


class Visitor(HttpUser):
    def on_start(self):
        self.person = people.get_nowait()
        self.client.post("/login-page", json=self.person)

    @task
    def page(self):
        observing.iteration(self, 2, users=3)
        self.client.get("/" + self.person["name"])
