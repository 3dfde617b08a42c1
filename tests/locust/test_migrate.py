"""Locustfiles with obswarm's own names: the imports alone change, and names from before version 1."""

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.cli.migrate import migrate as command
from obswarm.errors import ObswarmError
from obswarm.locust.migrate import migrate


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from locust import HttpUser, task\n", "from obswarm import HttpUser, task\n"),
        ("from locust import (\n    HttpUser,  # users\n    task,\n)\n", "from obswarm import HttpUser, task\n"),
        ("from locust import HttpUser as H, task\n", "from obswarm import HttpUser as H, task\n"),
        ("from locust.contrib.fasthttp import FastHttpUser\n", "from obswarm import FastHttpUser\n"),
        ("from locust.runners import MasterRunner, WorkerRunner\n", "from obswarm import MasterRunner, WorkerRunner\n"),
        ("from locust.exception import StopUser, LocustError\n", "from obswarm import StopUser\nfrom locust.exception import LocustError\n"),
        ("from locust.env import Environment\n", "from obswarm.api import Environment\n"),
        ("from locust.clients import ResponseContextManager\n", "from obswarm.http import CountedResponse as ResponseContextManager\n"),
        ("def f():\n    from locust import events, User\n    return 1\n", "def f():\n    from obswarm import events, User\n    return 1\n"),
        ("if 1: from locust import task; x = 1\n", "if 1: from obswarm import task; x = 1\n"),
        ("# ä ö\ns = 'ü'; from locust import task\n", "# ä ö\ns = 'ü'; from obswarm import task\n"),
        ("from locust import task\r\nx = 1\r\n", "from obswarm import task\r\nx = 1\r\n"),
        ("from .locust import task\nimport locusts\nfrom locusts import x\n", None),
        ("from locust import *\n", None),
        ("import os\n", None),
    ],
)  # fmt: skip
def test_imports(before: str, after: str | None) -> None:
    assert migrate(before).text == (before if after is None else after)


OLD = """from locust import HttpLocust, TaskSet, task

class Tasks(TaskSet):
    min_wait = 100  # a little
    @task
    def page(self):
        self.client.get("/")

class Visitor(HttpLocust):
    task_set = Tasks
    min_wait = 5000
    max_wait = 9000
    host = "http://127.0.0.1"
"""

NEW = """from obswarm import HttpUser, TaskSet, task, between

class Tasks(TaskSet):
    wait_time = between(0.1, 1)  # a little
    @task
    def page(self):
        self.client.get("/")

class Visitor(HttpUser):
    tasks = [Tasks]
    wait_time = between(5, 9)
    host = "http://127.0.0.1"
"""


def test_names_from_before_version_1() -> None:
    assert migrate(OLD).text == NEW


def test_attributes_of_that_name_in_a_newer_file_are_somebodys_own() -> None:
    text = "from locust import HttpUser\nclass V(HttpUser):\n    min_wait = 3\n    task_set = 4\n"
    assert migrate(text).text == text.replace("locust", "obswarm")


def test_a_wait_that_is_no_number_stays() -> None:
    text = OLD.replace("min_wait = 5000", "min_wait = int(WAIT)")
    assert "min_wait = int(WAIT)\n    max_wait = 9000" in migrate(text).text


def test_what_stays_is_said() -> None:
    stays = migrate("import locust.stats\nfrom locust.stats import print_stats\nfrom locust import task\n").stays
    assert stays == (
        "line 1: `import locust.stats`, since its names are used by it",
        "line 2: locust.stats.print_stats",
    )


def test_migrating_twice_changes_nothing_more_and_the_file_remains_python() -> None:
    for text in (OLD, NEW):
        once = migrate(text).text
        ast.parse(once)
        assert migrate(once).text == once


def test_many_names_are_one_to_a_line() -> None:
    names = "HttpUser FastHttpUser TaskSet SequentialTaskSet LoadTestShape between constant_throughput events tag task"
    after = migrate(f"from locust import {', '.join(names.split())}\n").text
    assert after == "from obswarm import (\n" + "".join(f"    {name},\n" for name in names.split()) + ")\n"


def test_the_command_shows_a_diff_and_writes_when_it_is_to(tmp_path: Path) -> None:
    file = tmp_path / "locustfile.py"
    file.write_text(OLD)
    shown = CliRunner().invoke(command, [str(file)])
    assert shown.exit_code == 0
    assert (
        "-from locust import HttpLocust, TaskSet, task\n+from obswarm import HttpUser, TaskSet, task, between"
        in shown.output
    )
    assert file.read_text() == OLD
    assert CliRunner().invoke(command, [str(file), "--write"]).exit_code == 0
    assert file.read_text() == NEW
    assert f"{file}: nothing to change." in CliRunner().invoke(command, [str(file)]).output


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"def (", "is not Python: "), (b"\xff\xfe\x00", "is not UTF-8"), (b"a = '\0'", "is not Python: ")],
)
def test_what_is_no_locustfile(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_bytes(content)
    done = CliRunner().invoke(command, [str(tmp_path / "locustfile.py")])
    assert isinstance(done.exception, ObswarmError)
    assert sentence in str(done.exception)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path / "no.py")])
    assert str(done.exception) == f"{tmp_path / 'no.py'}: No such file or directory."
