"""A load test that stops itself, and holds the load while the target is slow.

obswarm run examples/guards.py -H http://127.0.0.1:8000 -u 50 -r 5 -t 2m
"""

from obswarm import FastHttpUser, Guard, between, task

guards = [
    # Errors for a few seconds end the run, with exit code 3.
    Guard("error_ratio > 20% for 3s"),
    # No more users while the shop is slow; more of them once it is not.
    Guard('p95{name="/products/{id}"} > 2s for 3s', action="hold", name="slow shop", clear_for="5s"),
    # Nothing is done, but it is said, and kept with the run.
    Guard("worker_cpu > 80% for 5s", action="notify"),
]


class Visitor(FastHttpUser):
    wait_time = between(0.5, 1.5)

    @task
    def product(self):
        self.client.get("/products/7", name="/products/{id}")
