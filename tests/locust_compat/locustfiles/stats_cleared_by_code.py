"""`environment.stats.clear_all()` in the middle of a run."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    turn = 0

    @task
    def page(self):
        observing.iteration(self, 5)
        self.turn += 1
        self.client.get(f"/page/{self.turn}")
        self.client.get("/status/404")
        if self.turn == 3:
            stats = self.environment.stats
            stats.clear_all()
            observing.note("cleared", stats.total.num_requests, len(stats.entries), len(stats.errors))
