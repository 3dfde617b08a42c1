"""An option that nobody has, and a choice that does not exist."""
# run: --nobody-has-this 3
# run: --my-choice three

import observing
from locust import HttpUser, events, task


@events.init_command_line_parser.add_listener
def add(parser):
    parser.add_argument("--my-choice", choices=["one", "two"], default="one")


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/")
