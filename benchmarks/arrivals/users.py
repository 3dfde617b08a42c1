"""The users of the benchmark of arrivals."""

import json
import os
from typing import Any

from obswarm import FastHttpUser, User, constant_throughput, events, task

_delays: list[float] = []


class Null(User):
    """Does nothing but to note by how much its iterations start late."""

    @task
    def nothing(self) -> None:
        delay_s = self.environment.recorder.start_delay
        if delay_s is not None:
            _delays.append(delay_s() or 0.0)


class Visitor(FastHttpUser):
    """One request an iteration; of the closed model 25 a second."""

    wait_time = constant_throughput(25)

    @task
    def ask(self) -> None:
        self.client.get("/")


@events.test_stop.add_listener
def write_delays(**_: Any) -> None:
    """Append this process's delays to the file of ARRIVALS_DELAYS."""
    path = os.environ.get("ARRIVALS_DELAYS")
    if path and _delays:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(sorted(_delays)) + "\n")
