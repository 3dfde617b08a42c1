"""A load test that stops itself, and holds the load while the target is slow.

obswarm run examples/guards.py -H http://127.0.0.1:8000 -u 50 -r 5 -t 2m
"""

from obswarm import FastHttpUser, Guard, between, task

guards = [
    # Errors for a few seconds end the run, with exit code 3.
    Guard("error_ratio > 20% for 3s"),
    # Keep the number of users while the shop is slow; continue the ramp afterwards.
    Guard('p95{name="/products/{id}"} > 2s for 3s', action="hold", name="slow shop", clear_for="5s"),
    # Only logged, and recorded with the run.
    Guard("worker_cpu > 80% for 5s", action="notify"),
]


class Visitor(FastHttpUser):
    wait_time = between(0.5, 1.5)

    @task
    def product(self):
        self.client.get("/products/7", name="/products/{id}")
