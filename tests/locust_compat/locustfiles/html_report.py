"""--html writes a page."""
# run: --html report.html

import pathlib

import observing
from locust import HttpUser, events, task


@events.quit.add_listener
def quitting(**kwargs):
    page = pathlib.Path("report.html")
    observing.note("page", page.exists() and "<html" in page.read_text())


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/")
