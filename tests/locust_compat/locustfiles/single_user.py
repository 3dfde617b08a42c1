"""run_single_user, as in a debugger."""
# start: python

try:
    import obswarm.locust

    obswarm.locust.install()
except ImportError:
    pass  # Locust's own Python.

import observing
from locust import HttpUser, run_single_user, task


class Visitor(HttpUser):
    host = observing.TARGET
    turn = 0

    def on_start(self):
        self.client.get("/start")

    @task
    def page(self):
        self.turn += 1
        self.client.get("/page")
        if self.turn == 3:
            observing.note("environment", self.environment.runner is None)
            self.environment.process_exit_code = 4
            raise KeyboardInterrupt


if __name__ == "__main__":
    run_single_user(Visitor)
