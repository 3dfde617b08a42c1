"""A user that makes requests in greenlets of its own."""
# order: any

import gevent
import observing
from gevent.pool import Pool
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def page(self):
        observing.iteration(self, 2)
        pool = Pool()
        for number in range(5):
            pool.spawn(self.client.get, f"/part/{number}")
        pool.join()
        gevent.joinall([gevent.spawn(self.client.get, "/last")])
