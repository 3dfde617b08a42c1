"""Tasks are chosen by the weight of their decorator."""
# run: -u 4 -r 100
# compare: proportions

import observing
from locust import HttpUser, constant, task


class Visitor(HttpUser):
    wait_time = constant(0)

    @task(3)
    def often(self):
        observing.iteration_of_all(self, 800)
        self.client.get("/often")

    @task
    def seldom(self):
        observing.iteration_of_all(self, 800)
        self.client.get("/seldom")
