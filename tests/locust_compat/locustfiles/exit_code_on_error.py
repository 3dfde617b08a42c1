"""--exit-code-on-error."""
# run: --exit-code-on-error 9
# run: --exit-code-on-error 0
# run:

import observing
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/status/404")
