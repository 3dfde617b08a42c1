"""Modules of Locust that programs and load tests import: what they do, and the sentence of what is not possible."""

import argparse
import os
import pty
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import gevent
import pytest

from obswarm.api import Events, LoadTestParser, ObswarmError, TaskSet, User, events, tag, task
from obswarm.cluster import MasterRunner, WorkerRunner
from obswarm.engine import LocalRunner
from obswarm.locust import argument_parser, dispatch, input_events, log, opentelemetry, rpc
from obswarm.locust.contrib import fasthttp
from obswarm.locust.debug import PrintListener
from obswarm.locust.env import Environment
from obswarm.locust.main import create_environment
from obswarm.locust.rpc import zmqrpc
from obswarm.locust.runners import DistributedRunner
from obswarm.locust.user.inspectuser import get_ratio, print_task_ratio, task_ratios
from obswarm.locust.user.task import filter_tasks_by_tags
from obswarm.locust.util.load_locustfile import load_locustfile


class Nested(TaskSet):
    @task
    def one(self) -> None: ...

    @task
    def two(self) -> None: ...


class Visitor(User):
    weight = 3
    tasks = [Nested]

    @task(3)
    def page(self) -> None: ...


class Admin(User):
    @task
    def page(self) -> None: ...


@pytest.fixture
def own_events(monkeypatch: pytest.MonkeyPatch) -> Events:
    made = Events()
    monkeypatch.setattr(argument_parser, "events", made)
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "call",
    [
        dispatch.UsersDispatcher,
        zmqrpc.Server,
        lambda: zmqrpc.Client("127.0.0.1", 5557, "me"),
        fasthttp.LocustUserAgent,
    ],
)
def test_what_is_not_possible_says_what_to_use(call) -> None:
    with pytest.raises(ObswarmError, match=r"^([A-Z]|obswarm|locust\.).*\.$"):
        call()


def test_an_agent_of_a_session_says_what_it_does_not_have() -> None:
    session = fasthttp.FastHttpSession("http://target.test", None, None)  # type: ignore[arg-type]
    agent = session.client
    assert (agent.clientpool, agent.cookiejar) == (session.pool, session.cookies)
    agent.default_headers["X-One"] = "1"
    assert session.headers["X-One"] == "1"
    with pytest.raises(AttributeError, match=r"client\.urlopen: .* only clientpool"):
        agent.urlopen("http://target.test")


def test_a_listener_prints_requests(capsys: pytest.CaptureFixture[str]) -> None:
    environment = Environment()
    PrintListener(environment, include_length=True)
    environment.events.request.fire(request_type="GET", name="/page", response_time=1.5, response_length=7)
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["type", "name", "resp_ms", "length", "exception"]
    assert line.split() == ["GET", "/page", "1.5", "7", "–"]


def test_tasks_that_were_judged_before_are_left_out_or_stay() -> None:
    class Shop(User):
        @tag("read")
        @task
        def look(self) -> None: ...

        @task
        def buy(self) -> None: ...

        @tag("read")
        @task
        def pay(self) -> None: ...

    checked = {Shop.buy: True, Shop.look: False}
    filter_tasks_by_tags(Shop, {"read"}, checked=checked)
    assert Shop.tasks == [Shop.buy, Shop.pay]
    assert checked == {Shop.buy: True, Shop.look: False, Shop.pay: True}


def test_open_telemetry_is_not_set_up(caplog: pytest.LogCaptureFixture) -> None:
    assert not opentelemetry.setup_opentelemetry("locustfile.py", None)
    assert "--otlp" in caplog.text


def test_a_message_arrives_as_it_was_sent() -> None:
    data = {"at": datetime(2026, 1, 2, 3, 4, 5, 6), 5: [1, "ü", None]}
    sent = rpc.Message("data", data, "worker_1")
    arrived = rpc.Message.unserialize(sent.serialize())
    assert (arrived.type, arrived.data, arrived.node_id) == ("data", data, "worker_1")
    assert repr(arrived) == "<Message data:worker_1>"


def test_ratios_of_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    found = task_ratios([Visitor, Admin], None)
    nested = {"ratio": 0.25, "tasks": {"one": {"ratio": 0.5}, "two": {"ratio": 0.5}}}
    assert found["per_class"]["Visitor"] == {"ratio": 0.75, "tasks": {"Nested": nested, "page": {"ratio": 0.75}}}
    assert found["total"]["Visitor"]["tasks"]["Nested"]["tasks"]["one"] == {"ratio": 0.75 * 0.25 / 2}
    assert get_ratio([Admin], {"Admin": 0}, True)["Admin"]["ratio"] == 0
    print_task_ratio([Admin], 1, False)
    assert capsys.readouterr().out.split() == ["100.0", "Admin", "100.0", "page"]


def test_a_file_is_imported(folder: Path) -> None:
    (folder / "shop_of_test_modules.py").write_text(
        "from obswarm import LoadTestShape, User\n"
        "class Base(User):\n    abstract = True\n"
        "class Buyer(Base): ...\n"
        "class Wave(LoadTestShape):\n    def tick(self): ...\n"
    )
    classes, shapes = load_locustfile("shop_of_test_modules.py")
    assert (list(classes), [type(shape).__name__ for shape in shapes]) == (["Buyer"], ["Wave"])


def test_the_parser_of_the_command(own_events: Events, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @own_events.init_command_line_parser.add_listener
    def add_options(parser: argument_parser.LocustArgumentParser) -> None:
        assert isinstance(parser, argument_parser.LocustArgumentParser)
        parser.add_argument("--shop", choices=["near", "far"], default="near", help="The shop.", is_required=True)
        parser.add_argument("--pin", is_secret=True, default="1", env_var="PIN")
        parser.add_argument("--hidden", include_in_web_ui=False)

    (folder / "locust.conf").write_text("users = 5\nshop = far\ntags = [a, b]\n")
    (folder / "mine.conf").write_text("users = 6\n")
    monkeypatch.setenv("LOCUST_RUN_TIME", "1m")
    monkeypatch.setenv("LOCUST_USER_CLASSES", "A B")
    options = argument_parser.parse_options(["-r", "2.5", "--config-users", '{"user_class_name": "A"}', "-s", "5"])
    assert (options.num_users, options.spawn_rate, options.run_time, options.tags) == (5, 2.5, 60, ["a", "b"])
    assert (options.shop, options.stop_timeout, options.user_classes) == ("far", 5, ["A", "B"])
    assert options.config_users == [[{"user_class_name": "A"}]]
    assert argument_parser.parse_options(["--config", "mine.conf", "-T", "c"]).num_users == 6
    shown = argument_parser.ui_extra_args_dict([])
    assert shown["shop"] == {
        "default_value": "far",
        "is_secret": False,
        "is_required": True,
        "help_text": "The shop.",
        "is_multiple": False,
        "choices": ["near", "far"],
    }
    assert (list(shown), shown["pin"]["is_secret"]) == (["shop", "pin"], True)
    environment = create_environment([Visitor], options, events=own_events)
    assert (environment.tags, environment.stop_timeout) == (["a", "b"], 5)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-u 0", "argument -u/--users: '0' is not a number above 0"),
        ("--csv-full-history", "'--csv-full-history' requires '--csv'."),
        ("--config-users {}", 'each class is a JSON object with its name: {"user_class_name": "Visitor", "weight": 3}'),
        ("--no-such 5", "unrecognized arguments: --no-such"),
        ("--config none.toml -t x", "'x' is not a duration"),
    ],
)
def test_wrong_options_end_a_program(line: str, why: str, own_events: Events, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        argument_parser.parse_options(line.split())
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "locust: error: " in said
    assert why in said


def test_an_option_of_locusts_parser_is_one_of_any_parser() -> None:
    assert isinstance(LoadTestParser(), argument_parser.LocustArgumentParser)
    assert not isinstance(argparse.ArgumentParser(), argument_parser.LocustArgumentParser)
    assert events is argument_parser.events


def test_keys_of_the_terminal() -> None:
    ours, theirs = pty.openpty()
    program = (
        "import gevent, sys\n"
        "from obswarm.locust.input_events import input_listener\n"
        "listening = gevent.spawn(input_listener({'w': lambda: print('MORE', flush=True), 'q': sys.exit}))\n"
        "print('READY', flush=True)\n"
        "listening.join(20)\n"
        "print(type(listening.value).__name__)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=theirs, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "READY\n"
    os.write(ours, b"xw")
    assert process.stdout.readline() == "MORE\n"
    os.write(ours, b"q")
    process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)


def test_keys_are_not_read_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nowhere:
        monkeypatch.setattr("sys.stdin", nowhere)
        with pytest.raises(input_events.InitError):
            input_events.get_poller()
        assert gevent.spawn(input_events.input_listener({})).get(timeout=5) is None


def test_lines_of_the_log_are_kept() -> None:
    import logging

    reader = log.LogReader()
    logging.getLogger().addHandler(reader)
    try:
        logging.getLogger("shop").error("closed")
        assert log.get_logs()[-1] == "closed"
    finally:
        logging.getLogger().removeHandler(reader)
    assert log.get_logs() == []


def test_main_becomes_obswarm_run(folder: Path) -> None:
    (folder / "shop.py").write_text(
        "from locust import User, task\nclass Buyer(User):\n    @task\n    def a(self): ...\n"
    )
    program = "from obswarm.locust.main import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", program, "-f", "shop.py", "--list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Buyer\n"), done.stderr


SINGLE = """
import obswarm.locust

obswarm.locust.install()

from locust import HttpUser, events, run_single_user, task


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--shop", default="near", env_var="SHOP")


class Buyer(HttpUser):
    host = "http://127.0.0.1:9"

    @task
    def buy(self):
        options = self.environment.parsed_options
        self.client.get("/buy", context={"shop": options.shop}, data="five")
        print("SAID", options.shop, options.num_users, options.tags, self.environment.locustfile)
        raise SystemExit(3)


if __name__ == "__main__":
    run_single_user(Buyer, include_length=True, include_time=True, include_context=True, include_payload=True)
"""


@pytest.mark.parametrize("command", [["shop_alone.py"], ["-m", "shop_alone"]])
def test_a_file_that_python_runs(folder: Path, command: list[str]) -> None:
    (folder / "shop_alone.py").write_text(SINGLE)
    (folder / "locust.conf").write_text("users = 5\nshop = far\n")
    line = [sys.executable, *command, "-T", "a", "b"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "SAID far 5 ['a', 'b'] shop_alone.py" in done.stdout
    heading, row = done.stdout.splitlines()[:2]
    assert [name for name in ("start_time", "length", "context") if name not in heading] == []
    assert "/buy" in row
    assert "{'shop': 'far'}" in row
    wrong = subprocess.run([*line, "--no-such"], capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, "error: unrecognized arguments: --no-such" in wrong.stderr) == (2, True)


def test_runners_of_masters_and_workers_are_distributed() -> None:
    assert issubclass(MasterRunner, DistributedRunner)
    assert issubclass(WorkerRunner, DistributedRunner)
    assert not issubclass(LocalRunner, DistributedRunner)
    assert isinstance(WorkerRunner.__new__(WorkerRunner), DistributedRunner)


@pytest.mark.parametrize(
    ("tags", "exclude_tags", "left"),
    [
        (None, None, ["plain", "read", "write"]),
        ({"read", "other"}, None, ["read"]),
        (None, {"read"}, ["plain", "write"]),
        ({"all"}, {"read"}, ["write"]),
    ],
)
def test_tasks_are_filtered_by_tags(tags: set[str] | None, exclude_tags: set[str] | None, left: list[str]) -> None:
    class Tagged(User):
        @task
        def plain(self) -> None: ...

        @tag("read", "all")
        @task
        def read(self) -> None: ...

        @tag("all")
        @task
        def write(self) -> None: ...

    filter_tasks_by_tags(Tagged, tags, exclude_tags)
    assert sorted(each.__name__ for each in Tagged.tasks) == left
