"""Contestants during the hour of a contest, compressed into minutes: they arrive in a wave at the start, read problems,
submit programs, and view the leaderboard, more often towards the end.

obswarm run examples/contest/loadtest.py -H http://127.0.0.1:18080 --config examples/contest/obswarm.toml

Requests are signed, so that the contest exempts them from its rate limit and its question at login: OBSWARM_SIGNING_KEY
has to be the contest's key.
"""

import csv
from collections import deque
from pathlib import Path

from obswarm import FastHttpUser, LoadTestShape, RequestSigner, between, events, task

# Read during the import, so that it is sent to workers with this file.
with open(Path(__file__).with_name("accounts.csv"), newline="") as file:
    ACCOUNTS = list(csv.DictReader(file))

PROBLEMS = range(73, 81)


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--contest-minutes", type=float, default=3.0, help="How long the contest's hour takes")
    parser.add_argument("--contestants", type=int, default=400, help="How many there are at the peak")
    parser.add_argument("--account-slices", type=int, default=10, help="Parts of the accounts, one for each worker")


@events.init.add_listener
def share_accounts(environment, **_):
    """Each worker uses the accounts of its index, so that no account is logged in twice."""
    index, slices = max(getattr(environment.runner, "worker_index", 0), 0), environment.parsed_options.account_slices
    Contestant.free_accounts = deque(ACCOUNTS[index::slices] if index < slices else ())


class Contestant(FastHttpUser):
    wait_time = between(0.5, 1.5)
    request_signer = RequestSigner.from_environment()
    free_accounts = deque()

    def on_start(self):
        self.attempts = 0
        self.account = None
        if not self.free_accounts:
            raise RuntimeError("no account is free here; see --account-slices")
        self.account = self.free_accounts.popleft()
        while self.client.post("/login", json=self.account).status_code != 200:
            self.wait()
        self.client.get("/problems")

    def on_stop(self):
        if self.account is not None:
            self.free_accounts.append(self.account)

    @task(5)
    def read(self):
        self.client.get(f"/problems/{self.pick()}", name="/problems/{id}")

    @task(3)
    def hand_in(self):
        # A different program for each contestant and attempt: half of them are right.
        problem = self.pick()
        code = f"print({self.account['name']!r}, {self.attempts})"
        with self.client.post("/submit", json={"problem": problem, "code": code}, catch_response=True) as response:
            if response.status_code == 200 and response.json()["verdict"] not in ("accepted", "wrong answer"):
                response.failure(f"the verdict is {response.json()['verdict']!r}")

    @task(4)
    def look_at_the_leaderboard(self):
        self.client.get("/leaderboard")

    def pick(self):
        self.attempts += 1
        return PROBLEMS[self.attempts % len(PROBLEMS)]


class ContestHour(LoadTestShape):
    """(share of the hour, share of the contestants): a wave at the start, some leave, all return before the end."""

    points = ((0.0, 0.02), (0.15, 1.0), (0.6, 0.8), (0.85, 1.0), (1.0, 1.0))

    def tick(self):
        options = self.runner.environment.parsed_options
        share = self.get_run_time() / (options.contest_minutes * 60)
        for (begin, low), (end, high) in zip(self.points, self.points[1:], strict=False):
            if share < end:
                users = options.contestants * (low + (high - low) * (share - begin) / (end - begin))
                return max(1, round(users)), 40
        return None
