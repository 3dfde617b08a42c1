"""Tests for pytest in place of user classes."""

import json
from pathlib import Path

import pytest

from tests.support.forked import forked_obswarm
from tests.support.programs import CountingServer

TESTS = """
import time
from pathlib import Path

import pytest
from locust import events

CALLS = []


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
import time

import pytest


@pytest.fixture(autouse=True)
def nothing():
    raise RuntimeError("fixtures that no parameter names are not called")
"""


def test_each_test_is_a_user_class(tmp_path: Path) -> None:
    (tmp_path / "test_site.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    with CountingServer() as server:
        options = ("-H", server.url, "-u", 4, "-r", 1000, "-t", "1s", "--json", "result.json", "--headless")
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
