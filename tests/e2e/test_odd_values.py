"""What load tests and targets give as texts and numbers, over real processes: the target's count is the result's."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.forked import forked_obswarm
from tests.support.programs import CountingServer

LOADTEST = r'''
import json
import math
import random
import urllib.request
from decimal import Decimal

from obswarm import FastHttpUser, HttpUser, User, constant, events, task


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text")


ODD = [
    "plain", 7, None, b"bytes \xff", "half \ud83d", "two\nlines", "\x1b[2J", "x" * 30_000, ["a", "list"], NoText(),
    1.5, "=cmd|' /C calc'!A0", "no [/b] such", "</script>", True, {"a": 1}, "\u202egnp", "\x00", Decimal("1.5"),
]
NUMBERS = [
    1.0, 12, None, -1, 1.5, math.nan, math.inf, -math.inf, 2**55, 2**60, 2**64, 10**400, 1.76e12, "12.5", "soon",
    Decimal("2.5"), [], True, 1 + 2j,
]
random = random.Random(5)


class Fast(FastHttpUser):
    wait_time = constant(0.01)

    @task
    def name(self):
        self.client.get("/fast", name=random.choice(ODD))

    @task
    def verdict(self):
        with self.client.get("/fast", catch_response=True) as response:
            response.failure(random.choice(ODD[:8]))


class Requests(HttpUser):
    wait_time = constant(0.01)

    @task
    def name(self):
        self.client.get("/requests", name=random.choice(ODD))


class Other(User):
    """Of another protocol."""

    wait_time = constant(0.01)

    def ask(self):
        urllib.request.urlopen(self.host + "/fired").read()

    @task(5)
    def fire(self):
        self.ask()
        event = {
            "request_type": random.choice(ODD),
            "name": random.choice(ODD),
            "response_time": random.choice(NUMBERS),
            "response_length": random.choice(NUMBERS),
            "exception": random.choice([None, None, *ODD]),
        }
        for missing in random.sample(sorted(event), random.choice([0, 0, 0, 1, 3])):
            del event[missing]
        events.request.fire(**event)

    @task
    def measure(self):
        with events.request.measure(random.choice(ODD), random.choice(ODD)) as request:
            self.ask()
            request["response_length"] = random.choice(NUMBERS)

    @task
    def request(self):
        with self.environment.request(random.choice(ODD), random.choice(ODD)) as request:
            self.ask()
            request.response_bytes = random.choice(NUMBERS)
            raise random.choice([ValueError("half \ud83d"), NoText(), KeyError("x" * 5000)])
'''


@pytest.mark.parametrize("workers", ["2", "0"])
def test_the_count_of_the_target_is_that_of_every_output(loadtest, tmp_path: Path, workers: str) -> None:
    path = loadtest(LOADTEST)
    with CountingServer() as target:
        done = forked_obswarm(
            *("run", path, "-H", target.url, "-u", 9, "-r", 100, "-t", "3s", "--workers", workers, "--web-port", 0),
            *("--linger", 0, "--json", tmp_path / "result.json", "--junit", tmp_path / "junit.xml"),
            *("--csv", tmp_path / "run", "--headless"),
            cwd=tmp_path,
            OBSWARM_STORE="",
            OBSWARM_NO_REPORT="",
        )
        served = target.total()
    assert done.code == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not set(done.stdout + done.stderr) & set(map(chr, (*range(10), *range(11, 32), 127)))
    result = json.loads((tmp_path / "result.json").read_text())
    assert served > 100
    assert result["totals"]["requests"] == sum(each["requests"] for each in result["endpoints"]) == served
    assert result["lost"] == []
    assert result["exceptions"] == []
    assert result["totals"]["untimed"] > 0
    assert sum(each["count"] for each in result["errors"]) == result["totals"]["failures"]
    names = {each["name"] for each in result["endpoints"]}
    assert {"7", "half \\ud83d", "two\\nlines", "\\x1b[2J", "<NoText>", "['a', 'list']", "(none)"} <= names
    assert any(name.endswith("… [cut: 30,000 characters]") for name in names)
    ElementTree.parse(tmp_path / "junit.xml")
    assert f"Aggregated,{served}," in (tmp_path / "run_stats.csv").read_text()
    exported = forked_obswarm("runs", "show", "latest", "--json", cwd=tmp_path, OBSWARM_STORE="")
    assert json.loads(exported.stdout)["result"]["totals"]["requests"] == served
    (report,) = (tmp_path / ".obswarm" / "reports").iterdir()
    assert f"{served:,} requests" in report.read_text()


BROKEN = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def page(self):
        self.client.get("/page")
        if not hasattr(self.environment, "broken"):
            # As a fault of obswarm's own would leave it.
            self.environment.broken = True
            for _ in range(3):
                self.client.get("/broken")
            self.environment.recorder._current.endpoints["GET", "/broken", ""].response_bytes = None
"""


def test_what_a_worker_cannot_send_is_lost_by_name_and_the_rest_is_counted(loadtest) -> None:
    with CountingServer() as target:
        done = forked_obswarm(
            *("run", loadtest(BROKEN), "-H", target.url, "-t", "2s", "--workers", 1, "--web-port", 0, "--linger", 0),
            *("--json", "-", "--headless"),
        )
        counts = target.counts()
    assert done.code == 4, done.stderr
    result = json.loads(done.stdout)
    (worker,) = result["workers"]
    (loss,) = result["lost"]
    assert (loss["worker"], loss["requests"], worker["stats_lost"]) == (worker["worker"], 3, 1)
    assert loss["detail"] == "requests of GET /broken: it could not be sent (TypeError)"
    assert {each["name"]: each["requests"] for each in result["endpoints"]} == {"/page": counts["/page"]}
    assert counts["/broken"] == 3
