"""A file that was written for Locust runs without an edit, whether or not Locust is installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documentation import snippet
from tests.support.fleet import Fleet
from tests.support.forked import forked_obswarm
from tests.support.programs import CountingServer, obswarm

LOCUSTFILE = """
import locust.stats
from locust import FastHttpUser, HttpUser, LoadTestShape, SequentialTaskSet, between, events, tag, task
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import CatchResponseError, RescheduleTask, StopUser
from locust.runners import STATE_STOPPING, LocalRunner, MasterRunner, WorkerRunner

locust.stats.PERCENTILES_TO_REPORT = [0.5, 0.95]


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--shop", default="first", env_var="LOCUST_SHOP")


@events.test_stop.add_listener
def at_the_end(environment: Environment, **kwargs):
    if isinstance(environment.runner, (LocalRunner, MasterRunner)):
        total = environment.runner.stats.total
        print(f"total {total.num_requests} {total.fail_ratio}", flush=True)


class Order(SequentialTaskSet):
    @task
    def cart(self):
        self.client.get("/cart")

    @task
    def pay(self):
        with self.client.post("/pay", json={"a": 1}, catch_response=True) as response:
            if response.status_code != 200:
                response.failure("not paid")
        self.interrupt()


class Visitor(HttpUser):
    wait_time = between(0.02, 0.05)
    tasks = {Order: 1}

    def on_start(self):
        assert isinstance(self.client, HttpSession)
        self.client.get("/" + self.environment.parsed_options.shop)

    @tag("front")
    @task(2)
    def page(self):
        self.client.get("/page", name="/[page]")


class Hurried(FastHttpUser):
    wait_time = between(0.02, 0.05)

    @task
    def page(self):
        assert isinstance(self.client, FastHttpSession)
        with self.rest("GET", "/rest") as response:
            pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE)
    # As the package would be found if it were installed; and a module of that name beside the file.
    (tmp_path / "installed" / "locust").mkdir(parents=True)
    (tmp_path / "installed" / "locust" / "__init__.py").write_text("raise AssertionError('the installed package')\n")
    return tmp_path


def test_a_locustfile_as_it_is(folder: Path) -> None:
    ((_, text),) = snippet("docs/coming-from-locust.md", "obswarm run -f locustfile.py").commands
    words = text.split()[1:]
    with CountingServer() as target:
        words[words.index("-H") + 1] = target.url
        words[words.index("-t") + 1] = "3s"
        more = ("--headless", "--json", "-", "--shop", "second")
        done = obswarm(*words, *more, cwd=folder, PYTHONPATH=str(folder / "installed"))
        counts = target.counts()
    assert done.code in (0, 1), done.stderr
    assert "`import locust` imports obswarm's own classes; --no-locust-compat turns that off." in done.stderr
    counted = {(each["method"], each["name"]): each["requests"] for each in done.result["endpoints"]}
    assert counted == {
        ("GET", "/cart"): counts["/cart"],
        ("POST", "/pay"): counts["/pay"],
        ("GET", "/[page]"): counts["/page"],
        ("GET", "/second"): counts["/second"],
        ("GET", "/rest"): counts["/rest"],
    }
    assert done.result["exceptions"] == []
    total = done.result["totals"]["requests"]
    assert f"total {total} " in done.stdout + done.stderr


def test_without_our_names_the_installed_package_is_imported(folder: Path) -> None:
    options = ("-f", "locustfile.py", "--no-locust-compat", "-t", "1s", "--headless")
    done = obswarm("run", *options, cwd=folder, PYTHONPATH=str(folder / "installed"))
    assert done.code == 2
    assert "AssertionError: the installed package" in done.stderr
    done = obswarm("run", *options, cwd=folder)
    assert done.code == 2
    assert "Without --no-locust-compat, obswarm has the modules of Locust itself." in done.stderr


def test_workers_elsewhere_read_it_the_same_way(folder: Path, tmp_path: Path) -> None:
    with CountingServer() as target, Fleet(tmp_path / "fleet", target.url, LOCUSTFILE) as fleet:
        master = fleet.master("-u", 6, "-t", "2s", "--expect-workers", 2)
        workers = [fleet.worker(), fleet.worker()]
        codes = (master.wait(60), *(worker.wait(60) for worker in workers))
        assert codes[1:] == (0, 0), fleet.log("workers.log")
        assert fleet.result()["totals"]["requests"] == target.total() > 0
        assert fleet.result()["exceptions"] == []


def test_the_settings_of_locust(folder: Path) -> None:
    (folder / "locust.conf").write_text(
        "# as for Locust\nheadless = true\nusers = 3\nspawn-rate = 50\nrun-time = 1h\nautostart = true\nbasket = 3\n"
    )
    with CountingServer() as target:
        done = forked_obswarm("run", "--json", "-", cwd=folder, LOCUST_RUN_TIME="2s", LOCUST_HOST=target.url)
        assert done.code == 0, done.stderr
        assert (
            "Note: locust.conf: basket: neither obswarm nor the load test has such an option; not used." in done.stderr
        )
        assert done.result["users_max"] == 3
        assert done.result["totals"]["requests"] == target.total() > 0
    (folder / "locust.conf").write_text("users = many\n")
    done = forked_obswarm("run", cwd=folder)
    assert (done.code, done.stderr) == (2, "Error: locust.conf: users is 'many'; it has to be a whole number.\n")
    done = forked_obswarm("run", cwd=folder, LOCUST_USERS="few", OBSWARM_CONFIG=str(folder / "none.toml"))
    assert done.code == 2


def test_the_diff_to_our_own_names(folder: Path) -> None:
    ((_, text),) = snippet("docs/coming-from-locust.md", "obswarm migrate locustfile.py").commands
    done = forked_obswarm(*text.split()[1:], cwd=folder)
    assert done.code == 0
    assert "+from obswarm import LocalRunner, MasterRunner, WorkerRunner" in done.stdout
    assert "stays" in done.stderr
    assert (folder / "locustfile.py").read_text() == LOCUSTFILE


def test_a_program_that_installs_the_names(folder: Path) -> None:
    text = snippet("docs/coming-from-locust.md", "obswarm.locust.install()").text
    with CountingServer() as target:
        program = text.replace("http://127.0.0.1:8000", target.url)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, check=True, capture_output=True, text=True, timeout=60
        )
        total = target.total()
    (last,) = [line for line in done.stdout.splitlines() if line.strip().startswith("Aggregated")]
    # Its 20 users end at once, as Locust's do; requests that are cut off are not counted.
    assert 0 <= total - int(last.split()[1]) <= 20 < total


ENGINE = """
from locust import LoadTestShape, User, constant, events, task
from locust.runners import WorkerRunner

counted = [0]


@events.init.add_listener
def listen(environment, **kwargs):
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.worker_report.add_listener(add)


def add(client_id, data, **kwargs):
    for each in data["stats"]:
        counted[0] += each["num_requests"]


@events.test_stopping.add_listener
def stopping(environment, **kwargs):
    print("stopping", environment.runner.state, flush=True)


@events.test_stop.add_listener
def stopped(environment, **kwargs):
    print("stop", environment.runner.state, flush=True)


@events.quitting.add_listener
def compare(environment, **kwargs):
    if not isinstance(environment.runner, WorkerRunner):
        errors = sum(error.occurrences for error in environment.stats.errors.values())
        print("counted", counted[0], environment.stats.num_requests, errors, flush=True)


class Visitor(User):
    wait_time = constant(0.02)

    @task
    def page(self):
        self.environment.stats.log_request("GET", "/page", 5, 1)
        self.environment.stats.log_error("GET", "/page", ValueError("no"))

    @task
    def leave(self):
        if self.environment.stats.num_requests > 5:
            self.stop()


class Base(User):
    host = "http://127.0.0.1:1"


class Curve(LoadTestShape):
    def tick(self):
        return (4, 100)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_file_does_with_runner_events_and_statistics(tmp_path: Path, workers: int) -> None:
    (tmp_path / "locustfile.py").write_text(ENGINE)
    options = ("-H", "http://127.0.0.1:1", "-t", "1s", "--headless", "--json", "result.json", "--workers", workers)
    done = forked_obswarm("run", "-f", "locustfile.py", *options, cwd=tmp_path)
    assert done.code == 1, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    requests = result["totals"]["requests"]
    assert result["totals"]["failures"] == requests > 0
    assert 1 <= result["duration_s"] < 30, "-t ends a run whose shape has no end"
    assert f"counted {requests} {requests} {requests}" in done.stdout
    processes = workers + 1
    assert done.stdout.count("stopping running") + done.stdout.count("stopping spawning") == processes
    assert done.stdout.count("stop stopped") == processes
    assert "No users of Base: Base has no tasks." in done.stderr
