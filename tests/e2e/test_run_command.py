"""`obswarm run` as a user meets it: files, displays, exit codes, options of the load-test file."""

import csv
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S
from tests.support.programs import CountingServer, command, obswarm
from tests.support.stalls import StallMeter

LOADTEST = """
from obswarm import FastHttpUser, HttpUser, WorkerRunner, constant, events, task

@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--greeting", default="hello", help="what to say", include_in_web_ui=True)

@events.quitting.add_listener
def judge(environment, **kwargs):
    if isinstance(environment.runner, WorkerRunner):
        return
    total = environment.stats.total
    print(f"listener: {total.num_requests > 0} {total.fail_ratio} {environment.parsed_options.greeting}")
    if environment.parsed_options.greeting == "code":
        environment.process_exit_code = 7

    events.quit.add_listener(lambda exit_code, **_: print(f"quit with {exit_code}"))

class Fast(FastHttpUser):
    wait_time = constant(0.05)
    @task(3)
    def page(self):
        self.client.get("/page")
    @task
    def fail(self):
        with self.client.get("/fail", catch_response=True) as response:
            if response.status_code == 500:
                response.success()

class Plain(HttpUser):
    weight = 3
    wait_time = constant(0.05)
    @task
    def checked(self):
        with self.client.get("/checked", catch_response=True, params={"q": 1}, name="/checked") as response:
            if response.json()["path"] != "/checked":
                response.failure("wrong page")
"""


@pytest.fixture
def path(loadtest) -> Path:
    return loadtest(LOADTEST)


@pytest.mark.alone
def test_the_json_result_has_its_documented_keys(path: Path, target: CountingServer) -> None:
    with StallMeter() as stalls:
        done = obswarm(
            *("run", path, "-H", target.url, "-u", 8, "-r", 100, "-t", "2s", "--json", "-", "--headless", "Fast")
        )
    assert "listener: True 0.0 hello" in done.stderr
    result = done.result
    assert done.code == 0
    assert set(result) >= {
        "run_id", "started_at", "ended_at", "duration_s", "state", "stop_reason", "users_max", "totals", "endpoints",
        "errors", "workers", "generator", "guards",
    }  # fmt: skip
    metrics = {
        "requests", "failures", "rps", "error_ratio", "p50_s", "p90_s", "p95_s", "p99_s", "max_s", "mean_s",
        "response_bytes",
        "untimed",
    }  # fmt: skip
    assert metrics <= set(result["totals"])
    assert all(metrics | {"method", "name"} <= set(endpoint) for endpoint in result["endpoints"])
    assert set(result["generator"]) == {"saturated", "max_loop_lag_s", "max_cpu_ratio", "verdict"}
    assert result["stop_reason"] == {"kind": "time", "detail": "the planned time is over"}
    assert 1.5 < result["duration_s"] < 2 + stalls.allowed_s(0.5)
    assert result["totals"]["failures"] == 0, "the load-test file said that 500 is fine"
    in_load = result["totals"]["requests"] - result["totals"]["late"]
    assert result["totals"]["rps"] == pytest.approx(in_load / result["load_s"], rel=0.01)


def test_custom_options_listeners_and_exit_codes(path: Path, target: CountingServer) -> None:
    common = ("run", path, "-H", target.url, "-u", 2, "-r", 100, "-t", "1s", "--headless")
    assert forked_obswarm(*common, "--greeting", "hi").stdout.endswith("listener: True 0.0 hi\nquit with 0\n")
    assert forked_obswarm(*common, "--greeting", "code").code == 7


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--exit-code-on-error", "0"], 0), (["--exit-code-on-error", "9"], 9)])  # fmt: skip
def test_failures_decide_the_exit_code(loadtest, target: CountingServer, options: list[str], code: int) -> None:
    text = "from obswarm import HttpUser, constant, task\nclass A(HttpUser):\n    wait_time = constant(0.1)\n    @task\n    def a(self): self.client.get('/fail')\n"
    assert forked_obswarm("run", loadtest(text), "-H", target.url, "-t", "1s", *options).code == code


def test_user_classes_are_listed_and_chosen(path: Path, target: CountingServer) -> None:
    assert forked_obswarm("run", path, "--list").stdout == "Fast\nPlain\n"
    done = forked_obswarm("run", "-f", path, "-H", target.url, "-u", 2, "-r", 50, "-t", "1s", "Plain")
    assert done.code == 0, done.stderr
    assert set(target.counts()) == {"/checked"}


def test_task_ratios_are_shown(path: Path) -> None:
    output = forked_obswarm("run", path, "--show-task-ratio").stdout
    assert "100.0%  Fast" in output
    assert " 75.0%  page" in output
    assert " 25.0%  Fast" in output
    assert " 75.0%  Plain" in output


def test_help_names_the_files_own_options(path: Path) -> None:
    output = forked_obswarm("run", path, "--help").stdout
    assert "--spawn-rate" in output
    assert "--greeting GREETING" in output


def test_options_come_from_the_environment_too(path: Path, target: CountingServer) -> None:
    done = forked_obswarm("run", path, "Plain", OBSWARM_HOST=target.url, OBSWARM_USERS="3", OBSWARM_RUN_TIME="1s")
    assert done.code == 0, done.stderr
    assert "Peak: " in done.stdout
    assert target.total() > 0


def test_without_a_terminal_there_are_plain_lines_and_a_summary(path: Path, target: CountingServer) -> None:
    done = forked_obswarm("run", path, "-H", target.url, "-u", 4, "-r", 100, "-t", "2s")
    assert re.search(r"running\s+4/4 users\s+[\d.]+ req/s\s+0 fail/s\s+p50 ", done.stderr)
    assert "\x1b" not in done.stderr + done.stdout
    assert "Aggregated" in done.stdout
    assert "GET /checked" in done.stdout
    assert forked_obswarm("run", path, "-H", target.url, "-t", "1s", "--only-summary").stderr == ""


def test_csv_files_have_locusts_columns(path: Path, target: CountingServer, tmp_path: Path) -> None:
    prefix = tmp_path / "new" / "out"
    forked_obswarm("run", path, "-H", target.url, "-u", 4, "-r", 100, "-t", "2s", "--csv", prefix, "--csv-full-history")
    with open(f"{prefix}_stats.csv") as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["Name"] == "Aggregated"
    assert sum(int(row["Request Count"]) for row in rows[:-1]) == int(rows[-1]["Request Count"]) == target.total()
    assert float(rows[0]["95%"]) > 0
    with open(f"{prefix}_stats_history.csv") as file:
        history = list(csv.DictReader(file))
    assert {"Timestamp", "User Count", "Requests/s", "Total Request Count"} <= set(history[0])
    assert {row["Name"] for row in history} == {"/page", "/fail", "/checked", "Aggregated"}
    for suffix, column in (("failures", "Occurrences"), ("exceptions", "Traceback")):
        assert column in Path(f"{prefix}_{suffix}.csv").read_text()


@pytest.mark.alone
def test_a_busy_generator_says_so_and_marks_the_result(loadtest) -> None:
    text = "from obswarm import User, task\nclass Busy(User):\n    @task\n    def spin(self): sum(range(2000))\n"
    with StallMeter() as stalls:
        done = obswarm("run", loadtest(text), "-t", "6s", "--json", "-", "--headless")
    assert "THE LOAD GENERATOR IS THE BOTTLENECK" in done.stderr
    assert done.result["generator"]["saturated"] is True
    assert done.result["generator"]["max_cpu_ratio"] > 0.9 / stalls.slowdown()


def test_a_debugger_runs_a_single_user(loadtest, target: CountingServer) -> None:
    text = (
        LOADTEST.replace('self.client.get("/page")', 'self.client.get("/page"); raise StopUser')
        .replace("constant, events", "StopUser, constant, events, run_single_user")
        .replace("@task(3)", "@task(100)")
    )
    script = loadtest(
        text + "\nif __name__ == '__main__':\n    run_single_user(Fast, include_length=True)\n", "single.py"
    )
    done = subprocess.run(
        [sys.executable, script, "-H", target.url], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"GET\s+/page\s+[\d.]+\s+\d+", done.stdout)


def on_a_terminal(arguments: list[object]) -> str:
    """What a terminal of 120 columns and 40 lines is sent while obswarm runs on it."""
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "CI": "", "NO_COLOR": ""}
    process = subprocess.Popen(command(*arguments), stdin=side, stdout=side, stderr=side, env=environment)
    os.close(side)
    output = b""
    while select.select([main], [], [], HANG_S)[0]:
        try:
            output += os.read(main, 65536)
        except OSError:
            break
    process.wait(HANG_S)
    os.close(main)
    return output.decode()


def test_on_a_terminal_there_is_a_live_display(path: Path, target: CountingServer) -> None:
    screen = on_a_terminal(["run", path, "-H", target.url, "-u", 8, "-r", 20, "-t", "4s"])
    for text in (
        "requests/s",
        "failures/s",
        "p90",
        " by second, last ",
        "8 of 8",
        "GET /checked",
        "generator",
        "┤",
        "Ctrl-C",
    ):
        assert text in screen
    assert "Aggregated" in screen


def test_timings_are_means_and_on_demand_percentiles(target: CountingServer) -> None:
    arguments = (
        "run",
        "examples/basic.py",
        "-H",
        target.url,
        "-u",
        5,
        "-r",
        20,
        "-t",
        "2s",
        "--headless",
        "--json",
        "-",
    )
    plain, detailed = forked_obswarm(*arguments), forked_obswarm(*arguments, "--timings")
    assert set(plain.result["totals"]["timings"]["first_byte"]) == {"count", "mean_s"}
    phases = detailed.result["totals"]["timings"]
    assert set(phases) == {"connect", "first_byte", "download"}
    assert phases["connect"]["count"] == 5
    assert phases["first_byte"]["count"] == detailed.result["totals"]["requests"]
    assert 0 < phases["first_byte"]["p50_s"] <= phases["first_byte"]["p99_s"]
    assert "phases: mean / p95" in detailed.stderr
