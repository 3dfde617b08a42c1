"""-f with two files: classes of both."""
# run: -f locustfile.py,second.py -u 2 -r 50
# order: any

import observing
from locust import HttpUser, task


class First(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 2, users=2)
        self.client.get("/first")
