"""Load tests for the benchmarks of clusters; Locust and obswarm both take them."""

try:
    from obswarm import User, task
except ImportError:
    from locust import User, task


class Nobody(User):
    """Its workers are simulated."""

    @task
    def nothing(self):
        pass


class Busy(User):
    """Computes, and does not use the network, so that no target takes a core."""

    @task
    def work(self):
        total = sum(range(3000))
        self.environment.events.request.fire(
            request_type="CPU", name="work", response_time=1, response_length=total % 7, exception=None
        )
