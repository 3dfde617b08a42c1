"""`obswarm find-limit` against a small target with a hard limit: 24 requests at a time."""

import json
import re
from pathlib import Path

import pytest
from gevent.pool import Pool

from tests.support.forked import forked_obswarm
from tests.support.programs import Server, obswarm
from tests.support.service import TOKEN, Service

LOADTEST = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0)

    @task
    def page(self):
        self.client.get("/")
"""


class SlotsServer(Server):
    module = "slots_server"


def found_limit(folder: Path, store: str) -> int:
    """Search for the limit of a target of its own, and return it."""
    with SlotsServer() as target:
        done = obswarm(
            *("find-limit", "loadtest.py", "-H", target.url, "--require", "error_ratio < 1%"),
            *("--from", 20, "--precision", 10, "--settle", "500ms", "--measure", "2s", "--workers", 0, "--headless"),
            *("--store", store, "--web-port", 0),
            cwd=folder,
        )
    assert done.code == 0, done.stderr
    found = re.search(
        r"The limit is (\d+) users \(.* requests/s\): \d+ users met the requirements, (\d+) did not",
        done.stdout.replace("\n", " "),
    )
    assert found, done.stdout
    assert int(found[2]) - int(found[1]) <= 3
    return int(found[1])


@pytest.mark.alone
def test_three_runs_find_the_limit_of_a_target_within_ten_percent(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    # At once: users wait nearly all of the time.
    limits = Pool(3).map(lambda number: found_limit(tmp_path, f"runs{number}"), range(3))
    assert max(limits) <= 1.1 * min(limits) + 1, limits
    # A user needs a moment between two requests, in which another one has its slot.
    assert all(22 <= limit <= 27 for limit in limits), limits


def test_a_first_load_that_is_too_high_is_the_exit_code_of_requirements(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    with SlotsServer() as target:
        done = forked_obswarm(
            *("find-limit", "loadtest.py", "-H", target.url, "--require", "p50 < 1ms", "--no-store"),
            *("--from", 1, "--settle", "0.5s", "--measure", "2s", "--workers", 0, "--headless", "--web-port", 0),
            cwd=tmp_path,
        )
    assert done.code == 5, done.stderr
    assert "Not even 1 user met the requirements." in done.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "find-limit needs a requirement that a too high load does not meet"),
        (("--require", "p95 < 1s", "-u", 5), "find-limit chooses the load; give --from and --up-to."),
        (("--require", "p95 < 1s", "--from", 50, "--up-to", 20), "--from 50 users is more than --up-to 20 users"),
        (
            ("--require", "p95 < 1s", "--from", "50/s", "--up-to", 20),
            "give both as numbers of users, or both as rates.",
        ),
        (("--require", "p95 < 1s", "--from", "0/s"), "'0/s' is no load"),
        (("--require", "p95 < 1s", "--from", "many"), "'many' is neither a number of users nor a rate like 200/s"),
        (("--require", "p95 < 1s", "--arrival-rate", "5/s"), "find-limit chooses the load; give --from and --up-to."),
        (("--require", "rps > 5"), "find-limit has no use for rps"),
    ],
)
def test_options_that_make_no_search_are_refused(options: tuple[object, ...], reason: str, tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    done = forked_obswarm("find-limit", "loadtest.py", "-H", "http://127.0.0.1:9", *options, cwd=tmp_path)
    assert done.code == 2
    assert reason in " ".join(done.stderr.split())


def test_a_rate_is_searched_by_a_master_service_and_its_result_is_json_here(tmp_path: Path) -> None:
    """A target that takes 50 ms, and four users: 80 iterations a second at most."""
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    with SlotsServer() as target, Service(tmp_path / "service", workers=(1,)) as service:
        done = obswarm(
            *("find-limit", "loadtest.py", "-H", target.url, "--master", service.url, "--api-token", TOKEN),
            *("--require", "p50 < 10s", "--max-users", 4, "--from", "10/s", "--precision", 40, "--settle", "500ms"),
            *("--measure", "2s", "--headless", "--no-store", "--json", "result.json"),
            cwd=tmp_path,
        )
    assert done.code == 0, done.stderr
    limit = json.loads((tmp_path / "result.json").read_text())["limit"]
    assert (limit["unit"], limit["is_found"]) == ("iterations/s", True)
    # Of a busy machine it may be a lower one.
    assert 10 <= limit["met"] < limit["not_met"] <= 100
    assert limit["not_met"] - limit["met"] <= 0.4 * limit["not_met"]
    assert all(level["dropped_ratio"] > 0.01 for level in limit["levels"] if not level["met"])
    printed = " ".join(done.stdout.split())
    assert re.search(
        r"The limit is [\d.]+ iterations/s \(.* requests/s\): .* met the requirements, \d+ did not", printed
    )
