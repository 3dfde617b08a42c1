"""Full disks, closed pipes and missing streams, as a user has them: what is lost is named, and nothing else is lost."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.support.patience import HANG_S
from tests.support.programs import command

LOADTEST = """
from obswarm import User, constant, task

class Visitor(User):
    wait_time = constant(0.01)

    @task
    def page(self):
        self.environment.events.request.fire(
            request_type="GET", name="/page", response_time=5.0, response_length=3, exception=None
        )
"""


def run(folder: Path, *options: object, **streams: Any) -> "subprocess.CompletedProcess[str]":
    """A run of a moment in a folder, with --json and a report unless other options say something else."""
    (folder / "loadtest.py").write_text(LOADTEST)
    environment = {name: value for name, value in os.environ.items() if name != "OBSWARM_NO_REPORT"}
    words = [
        "run",
        "loadtest.py",
        "-t",
        "2s",
        "--workers",
        "0",
        "--web-port",
        "0",
        "--store",
        "store",
        "--headless",
        *options,
    ]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(command(*words), cwd=folder, env=environment, text=True, timeout=HANG_S, check=False, **given)


def result_of(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "result.json").read_text())
    assert document["totals"]["requests"] > 5
    return document


def assert_report(folder: Path) -> None:
    (report,) = (folder / "store" / "reports").iterdir()
    assert report.read_text().rstrip().endswith("</html>")


def test_a_full_disk_under_standard_output_costs_the_summary_alone(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = run(tmp_path, "--json", "result.json", stdout=full)
    assert done.returncode == 4
    assert "ERROR: The summary failed and is incomplete: No space left on device. The run continues." in done.stderr
    assert result_of(tmp_path)["failed_outputs"] == [
        {"output": "The summary", "reason": "No space left on device", "required": True}
    ]
    assert_report(tmp_path)


def test_a_reader_that_has_gone_costs_the_summary_alone(tmp_path: Path) -> None:
    near, far = os.pipe()
    os.close(near)
    done = run(tmp_path, "--json", "result.json", stdout=far)
    os.close(far)
    assert done.returncode == 4
    assert "The summary failed and is incomplete: Broken pipe." in done.stderr
    assert "Traceback" not in done.stderr
    assert "BrokenPipeError" not in done.stderr, "Python complains of what it cannot flush at the end"
    assert result_of(tmp_path)["failed_outputs"][0]["reason"] == "Broken pipe"
    assert_report(tmp_path)


def test_a_json_result_that_cannot_be_written_is_on_standard_output(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "/dev/full")
    assert done.returncode == 4
    document = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index('{\n  "run_id"') :])[0]
    assert document["totals"]["requests"] > 5
    assert (
        "ERROR: --json /dev/full failed and is incomplete: No space left on device; it is on standard output"
        in done.stderr
    )


def test_csv_files_on_a_full_disk_cost_nothing_else(tmp_path: Path) -> None:
    full = {"csv_stats_history.csv", "csv_failures.csv"}
    for file in full:
        (tmp_path / file).symlink_to("/dev/full")
    done = run(tmp_path, "--json", "result.json", "--csv", "csv")
    assert done.returncode == 4
    assert "NOT COMPLETE: --csv csv (No space left on device)." in done.stdout
    assert result_of(tmp_path)["failed_outputs"][0]["output"] == "--csv csv"
    assert all((tmp_path / other).stat().st_size for other in ("csv_stats.csv", "csv_exceptions.csv"))
    assert_report(tmp_path)


def test_progress_that_nobody_can_read_is_no_loss(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = run(tmp_path, "--json", "result.json", stderr=full)
    assert done.returncode == 0
    assert "ended after" in done.stdout
    assert [failed["required"] for failed in result_of(tmp_path)["failed_outputs"]] == [False]
    assert_report(tmp_path)


def test_a_process_that_was_started_without_standard_streams_makes_its_run(tmp_path: Path) -> None:
    def close_all() -> None:
        for descriptor in (0, 1, 2):
            os.close(descriptor)

    done = run(tmp_path, "--json", "result.json", stdout=None, stderr=None, preexec_fn=close_all)
    assert done.returncode == 0
    assert result_of(tmp_path)["failed_outputs"] == []
    assert_report(tmp_path)


def test_a_json_result_for_a_standard_output_that_is_not_there_is_refused_before_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "-", stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --json -: this command was started without a standard output. Use --json FILE.\n",
    )


def test_a_run_that_is_refused_touches_no_file(tmp_path: Path) -> None:
    history = tmp_path / "csv_stats_history.csv"
    history.write_text("of an earlier run")
    options = ("--json", "result.json", "--junit", "new/junit.xml", "--logfile", "new/log", "--csv", "csv")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(tmp_path, *options, "--web-port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "cannot listen on it" in done.stderr
    made = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert made == {"loadtest.py", history.name}
    assert history.read_text() == "of an earlier run"


def test_a_log_file_on_a_full_disk_is_said_once_and_named_in_the_result(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "result.json", "--logfile", "/dev/full")
    assert done.returncode == 4
    assert "NOT COMPLETE: --logfile /dev/full (No space left on device)." in done.stdout
    assert [failed["output"] for failed in result_of(tmp_path)["failed_outputs"]] == ["--logfile /dev/full"]
    assert done.stderr.count("Error: --logfile /dev/full: No space left on device. The log is incomplete") == 1
    assert "Traceback" not in done.stderr
    assert_report(tmp_path)


def test_what_fails_after_the_summary_is_named_although_the_log_goes_to_a_file(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "/dev/full", "--logfile", "log")
    assert done.returncode == 4
    assert "Error: --json /dev/full is not complete: No space left on device" in done.stderr
    assert "--json /dev/full failed and is incomplete" in (tmp_path / "log").read_text()
