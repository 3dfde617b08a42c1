"""Tests for pytest in place of user classes."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
import requests

from obswarm.api import ObswarmError, StopTest, StopUser
from obswarm.locust.env import Environment
from obswarm.locust.exception import CatchResponseError
from obswarm.locust.user.users import PytestUser
from tests.support.forked import forked_obswarm
from tests.support.programs import CountingServer

TESTS = """
from pathlib import Path

import pytest
from locust import events

seen = set()


@events.init.add_listener
def started(environment, **_):
    # It ends when each test has done what it does.

    def note(what):
        seen.add(what)
        if len(seen) == 6:
            environment.runner.quit()

    environment.events.request.add_listener(lambda name, **_: note(name))
    environment.events.user_error.add_listener(lambda **_: note("an error"))


@pytest.fixture
def account(user):
    yield f"of {type(user).__name__}"
    Path("ended").write_text("yes")


@pytest.fixture
def number(account):
    return len(account)


def test_page(session):
    assert session.get("/page").ok
    session.get("http://127.0.0.1:1/nobody").raise_for_status()


def test_fast(fastsession):
    assert fastsession.get("/fast").status_code == 201, "not the status"


class TestOfAClass:
    @pytest.mark.parametrize("path", ["/one", "/two"])
    def test_both(self, fastsession, path, number):
        fastsession.get(f"{path}/{number}")


def helper():
    raise RuntimeError
"""

CONFTEST = """
import pytest


@pytest.fixture(autouse=True)
def nothing():
    raise RuntimeError("fixtures that no parameter names are not called")
"""


def test_each_test_is_a_user_class(tmp_path: Path) -> None:
    (tmp_path / "test_site.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    with CountingServer() as server:
        options = ("-H", server.url, "-u", 4, "-r", 1000, "-t", "60s", "--json", "result.json", "--headless")
        done = forked_obswarm("run", "test_site.py", *options, "--no-store", "--workers", 0, cwd=tmp_path)
        counts = server.counts()
    assert done.code == 1, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    paths = {each["name"] for each in result["endpoints"]}
    assert paths == {"/page", "/fast", "/nobody", "/one/18", "/two/18"}
    assert counts.keys() == paths - {"/nobody"}
    # What a test raises because of a response is a failure of the request, and nothing else.
    assert {each["name"] for each in result["errors"]} == {"/nobody"}
    assert [each["message"].partition(" (")[0] for each in result["exceptions"]] == [
        "test_fast: AssertionError: not the status"
    ]
    assert (tmp_path / "ended").exists()


def collected(function: Callable[[], object]) -> Any:
    """Return a test without fixtures, as pytest has collected it."""
    fixtures = SimpleNamespace(name2fixturedefs={})
    return SimpleNamespace(obj=function, name=function.__name__, _fixtureinfo=fixtures, config=None)


def of_tests(*functions: Callable[[], object]) -> tuple[PytestUser, list[BaseException]]:
    """Return a user that calls these, and the list of the exceptions that it reports."""
    kind = type("test_them", (PytestUser,), {"functions": [collected(each) for each in functions]})
    user, reported = kind(Environment(user_classes=[kind])), []
    user.environment.events.user_error.add_listener(lambda exception, **_: reported.append(exception))
    return user, reported


class Raised:
    """A test that raises one exception after the other."""

    __name__ = "test_raised"

    def __init__(self, *errors: BaseException) -> None:
        self.left = list(errors)

    def __call__(self) -> None:
        raise self.left.pop(0)


@pytest.mark.parametrize("end", [StopUser, StopTest, gevent.GreenletExit, ObswarmError])
def test_what_ends_a_user_or_a_run_does_so_in_a_test(end: type[BaseException]) -> None:
    mistakes = (AssertionError("no"), requests.exceptions.MissingSchema("no URL"), gevent.Timeout(1))
    of_responses = (requests.ConnectionError(), CatchResponseError("no"), ConnectionRefusedError())
    called: list[int] = []
    user, reported = of_tests(Raised(*mistakes, *of_responses, end("the end")), lambda: called.append(1))
    with pytest.raises(end):
        user.run()
    assert reported == list(mistakes)
    # The other test goes on after each of them.
    assert len(called) == len(mistakes) + len(of_responses)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def test_page(ghost): ...", "there is no fixture 'ghost'"),
        ("class TestPage:\n    def __init__(self): ...\n", "defines no user class"),
        ("import locust\ntest = 3\n", "defines no user class"),
    ],
    ids=["no fixture", "no tests", "another name"],
)
def test_what_is_no_test_is_explained(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "test_site.py").write_text(text)
    options = ("-H", "http://127.0.0.1:1", "-t", "0.3s", "--headless", "--no-store", "--workers", 0)
    done = forked_obswarm("run", "test_site.py", *options, cwd=tmp_path)
    assert told in done.stdout + done.stderr
    assert done.code == 2
    assert "Traceback" not in done.stderr
