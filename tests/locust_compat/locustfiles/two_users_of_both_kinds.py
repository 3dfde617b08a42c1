"""HttpUser and FastHttpUser beside each other."""
# run: -u 2 -r 50
# order: any

import observing
from locust import FastHttpUser, HttpUser, task


class Plain(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 5, users=2)
        self.client.get("/plain")


class Fast(FastHttpUser):
    @task
    def page(self):
        observing.iteration(self, 5, users=2)
        self.client.get("/fast")
