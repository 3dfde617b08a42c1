"""A steady load of 20 endpoints, each of which changes every second."""

import random

from obswarm import FastHttpUser, constant_throughput, task


class Visitor(FastHttpUser):
    wait_time = constant_throughput(5)

    @task
    def page(self) -> None:
        self.client.get(f"/page/{random.randrange(20)}")
