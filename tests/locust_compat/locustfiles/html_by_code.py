"""A report that the locustfile writes itself."""
# run: -u 1 -r 50

import observing
from locust import HttpUser, events, task
from locust.html import get_html_report


@events.quitting.add_listener
def on_quitting(environment, **kwargs):
    for name, options in (("default", {}), ("options", {"show_download_link": False, "theme": "dark"})):
        page = get_html_report(environment, **options)
        words = ("<html", "/page", "/status/404", "404 Client Error", "Aggregated", environment.host)
        observing.note(name, [word in page for word in words])


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        self.client.get("/page")
        self.client.get("/status/404")
