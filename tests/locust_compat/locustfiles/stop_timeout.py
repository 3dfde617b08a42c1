"""--stop-timeout: a task that needs less ends, one that needs more is interrupted."""
# run: -u 2 -r 50 -t 1s --stop-timeout 2
# order: any

import gevent
from locust import HttpUser, task


class Short(HttpUser):
    @task
    def page(self):
        gevent.sleep(1.8)
        self.client.get("/brief")


class Long(HttpUser):
    @task
    def page(self):
        gevent.sleep(30)
        self.client.get("/long")
