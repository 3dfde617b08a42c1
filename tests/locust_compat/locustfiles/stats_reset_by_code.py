"""`environment.stats.reset_all()` in the middle of a run."""

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    turn = 0

    @task
    def page(self):
        observing.iteration(self, 5)
        self.turn += 1
        self.client.get("/page")
        if self.turn == 3:
            self.environment.stats.reset_all()
            observing.note("reset", self.environment.stats.total.num_requests)
