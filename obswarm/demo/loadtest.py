"""The load test of the demo: contestants who read problems and submit answers."""

import random

from obswarm.api import between, task
from obswarm.http import FastHttpUser

PROBLEMS = 200


class Contestant(FastHttpUser):
    wait_time = between(0.5, 1.5)
    network_timeout = 10.0

    def on_start(self) -> None:
        self.name = f"user{random.randrange(1000)}"

    @task(6)
    def read_problem(self) -> None:
        self.client.get(f"/problems/{random.randrange(PROBLEMS)}", name="/problems/{id}")

    @task(1)
    def leaderboard(self) -> None:
        self.client.get("/leaderboard")

    @task(3)
    def submit(self) -> None:
        answer = {"user": self.name, "problem": random.randrange(PROBLEMS)}
        with self.client.post("/submit", json=answer, catch_response=True) as response:
            if response.status_code == 200 and response.json()["status"] != "accepted":
                response.failure("not accepted")
