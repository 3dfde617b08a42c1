"""Each request as a row of a CSV file."""
# run: -u 1 -r 50

import csv

import observing
from locust import HttpUser, events, task
from locust.contrib.csv_request_logger import CsvRequestLogger

logger = CsvRequestLogger("requests.csv", flush_interval=5)


@events.init.add_listener
def on_init(environment, **kwargs):
    logger.register(environment)


@events.quit.add_listener
def on_quit(exit_code, **kwargs):
    with open("requests.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            took, began = row.pop("response_time_ms"), row.pop("timestamp")
            observing.note("row", row, took == "" or float(took) > 0, float(began) > 1_000_000_000)


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/page")
        self.client.get("/status/404", name="missing, or not")
        with self.client.get("/page", catch_response=True) as response:
            response.failure("wrong")
        self.environment.events.request.fire(
            request_type="RPC",
            name="call",
            response_time=3.5,
            response_length=7,
            response=None,
            context={},
            exception=OSError("refused"),
        )
