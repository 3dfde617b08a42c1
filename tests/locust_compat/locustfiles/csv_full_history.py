"""--csv-full-history has the history of each name."""
# run: --csv-full-history

import gevent
import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 4)
        self.client.get("/one")
        self.client.get("/two")
        gevent.sleep(0.4)
