"""--logfile and --loglevel, and loggers of the locustfile."""
# run: --logfile run.log -L DEBUG

import logging
import pathlib

import observing
from locust import HttpUser, events, task


@events.quitting.add_listener
def quitting(**kwargs):
    text = pathlib.Path("run.log").read_text()
    observing.note("log", "a message of mine" in text, "a detail of mine" in text)


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        logging.info("a message of mine")
        logging.getLogger("mine").debug("a detail of mine")
        self.client.get("/")
