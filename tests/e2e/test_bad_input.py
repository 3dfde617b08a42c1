"""Whatever is wrong, a person gets a sentence and exit code 2, and never a traceback of ours."""

import re
import socket
from pathlib import Path

import pytest

from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, obswarm
from tests.support.stalls import StallMeter

GOOD = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.05)
    connection_timeout = 1.0
    network_timeout = 0.5

    @task
    def page(self):
        self.client.get("/{path}")
"""


def assert_sentence(done, *expected: str) -> None:
    assert done.code == 2, done.stdout + done.stderr
    for text in expected:
        assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-u", "-5"], "-5 is not in the range"),
        (["-u", "99999999"], "99999999 is not in the range"),
        (["-u", "many"], "'many' is not a valid integer"),
        (["-r", "0"], "0<x<=100000"),
        (["-r", "nan"], "nan is not a finite number"),
        (["-t", "soon"], "write it like 90s, 20m"),
        (["-t", "0"], "longer than 0s"),
        (["-t", "400d"], "longer than 30 days"),
        (["-s", "-1s"], "not a duration"),
        (["--stages", "30s"], "stage 1 ('30s') has no colon"),
        (["--stages", "10s:5", "-u", "5"], "--stages and --users exclude each other"),
        (["-H", "example.com"], "like http://example.com"),
        (["-H", "ftp://example.com"], "not a base URL"),
        (["-H", "http://"], "not a base URL"),
        (["--hsot", "http://x"], "Did you mean"),
        (["NoSuchUser"], "no user class 'NoSuchUser'; it has Visitor"),
        (["--tags", "none"], "No task matches --tags none"),
        (["--csv-full-history"], "needs --csv PREFIX"),
        (["--json", "/proc/nothing/x.json"], "cannot be written"),
        (["--csv", "/proc/nothing/x"], "cannot be written"),
        (["--logfile", "/proc/nothing/x"], "cannot be written"),
        (["--max-endpoints", "0"], "not in the range"),
    ],
)
def test_options_that_make_no_sense(loadtest, options: list[str], expected: str) -> None:
    host = [] if "-H" in options else ["-H", "http://127.0.0.1:1"]
    assert_sentence(forked_obswarm("run", loadtest(GOOD.format(path="")), *host, *options), expected)


@pytest.mark.parametrize(("option", "meant"), [("--lst", "--list"), ("--confg", "--config")])
def test_a_mistyped_option_is_compared_with_those_of_its_command(loadtest, option: str, meant: str) -> None:
    done = forked_obswarm("run", loadtest(GOOD.format(path="")), option)
    assert_sentence(done, option, meant, "Try 'obswarm run --help' for help.")
    assert "--state" not in done.stderr, "it is an option of obswarm master"


def test_no_such_file(tmp_path: Path) -> None:
    assert_sentence(forked_obswarm("run", "nothing.py", cwd=tmp_path), "No such load-test file: nothing.py")


def test_no_file_at_all(tmp_path: Path) -> None:
    assert_sentence(forked_obswarm("run", cwd=tmp_path), "No load-test file", "loadtest.py or locustfile.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def broken(:\n", "has a syntax error"),
        ("x = 1\n", "defines no user class"),
        ("from obswarm import User\nclass A(User): pass\n", "A has no tasks"),
        ("from obswarm import nothing_of_that_name\n", "cannot import name 'nothing_of_that_name'"),
    ],
)
def test_a_file_that_is_no_load_test(loadtest, text: str, expected: str) -> None:
    done = forked_obswarm("run", loadtest(text), "-H", "http://127.0.0.1:1")
    assert done.code == 2
    assert expected in done.stderr


def test_an_exception_in_the_file_comes_with_its_own_traceback_only(loadtest) -> None:
    done = forked_obswarm("run", loadtest("def f():\n    raise KeyError('mine')\nf()\n"))
    assert done.code == 2
    assert "line 2, in f" in done.stderr
    assert "KeyError: 'mine'" in done.stderr
    assert "obswarm/" not in done.stderr.replace("obswarm/loadtest", "")


@pytest.mark.parametrize("command", [("run",), ("run", "--workers", "0"), ("master", "--bind", "127.0.0.1:0")])
def test_no_host_is_a_sentence_before_anything_starts(loadtest, tmp_path: Path, command: tuple[str, ...]) -> None:
    name, *options = command
    done = forked_obswarm(name, loadtest(GOOD.format(path="")), *options, "-t", "5s", cwd=tmp_path)
    assert done.code == 2
    assert done.stdout == ""
    assert re.fullmatch(r"Error: No host for Visitor: use -H/--host, .*\n", done.stderr)
    assert not (tmp_path / ".obswarm").exists()


def test_no_host_in_the_run_is_said_once(loadtest, tmp_path: Path) -> None:
    text = GOOD.format(path="") + "\ndef may(user):\n    user.host = None\n"
    done = obswarm("run", loadtest(text), "-t", "5s", "--headless", "--no-store", cwd=tmp_path)
    assert done.code == 2
    assert (done.stdout + done.stderr).count("No host for the request of '/'") == 1
    assert "Aggregated" not in done.stdout


def test_a_host_without_scheme_in_the_file_names_the_class(loadtest) -> None:
    text = GOOD.format(path="") + "    host = 'localhost:8000'\n"
    assert_sentence(forked_obswarm("run", loadtest(text)), "Visitor.host: 'localhost:8000' is not a base URL")


def run_against(url: str, loadtest, path: str = "", **more) -> dict:
    done = obswarm(
        "run", loadtest(GOOD.format(path=path)), "-H", url, "-u", 3, "-r", 100, "-t", "2s", "--json", "-", "--headless"
    )
    result = done.result
    answered = any(error["error"].startswith("HTTP ") for error in result["errors"])
    assert done.code == (1 if answered else 4), done.stderr
    assert result["never_answered"] is not answered
    assert ("NO RESPONSE AT ALL" in done.stderr) is not answered
    assert "Traceback" not in done.stderr
    assert result["totals"]["requests"] > 0
    assert len(result["errors"]) <= 2, "errors of one kind are one line"
    return result


def test_a_target_that_refuses_is_a_counted_failure(loadtest) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = run_against(f"http://127.0.0.1:{port}", loadtest)
    assert result["totals"]["error_ratio"] == 1
    assert f"no connection to 127.0.0.1:{port}: Connection refused" in result["errors"][0]["error"]


def test_a_target_that_resets_is_a_counted_failure(target: CountingServer, loadtest) -> None:
    result = run_against(target.url, loadtest, "reset")
    assert result["totals"]["error_ratio"] == 1


def test_a_target_that_hangs_is_a_counted_failure_within_the_timeout(target: CountingServer, loadtest) -> None:
    with StallMeter() as stalls:
        result = run_against(target.url, loadtest, "hang")
    assert "nothing came from" in result["errors"][0]["error"]
    assert result["totals"]["max_s"] < 0.5 + stalls.allowed_s(0.2)


def test_a_name_that_does_not_exist_is_a_counted_failure(loadtest) -> None:
    result = run_against("http://no-such-host.invalid", loadtest)
    assert "cannot be resolved" in result["errors"][0]["error"]


def test_a_target_that_disappears_is_counted_from_then_on(loadtest) -> None:
    import subprocess

    from tests.support.programs import command

    with CountingServer() as server:
        run = subprocess.Popen(
            command("run", loadtest(GOOD.format(path="")), "-H", server.url, "-u", 3, "-r", 100, "-t", "5s", "--json", "-"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: server.total() >= 20, ended=run.poll)
        server.kill()
        stdout, stderr = run.communicate(timeout=HANG_S)
    import json

    totals = json.loads(stdout)["totals"]
    assert 0 < totals["failures"] < totals["requests"]
    assert "Traceback" not in stderr
