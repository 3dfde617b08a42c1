"""How the processes of a test run share the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.distribution import _GROUPS, ALONE, AloneLast
from tests.support.patience import HANG_S
from tests.support.programs import ROOT

GROUPS = {
    "a": "a",
    "b": "b",
    "m1": "module",
    "m2": "module",
    "m3": "module",
    "c": "c",
    "quiet1": ALONE,
    "quiet2": ALONE,
}
TESTS = list(GROUPS)


class Process:
    """A worker of xdist, as far as a scheduler sees it."""

    def __init__(self, groups: Path) -> None:
        self.workerinput = {_GROUPS: str(groups)}
        self.gateway = SimpleNamespace(id="gw")
        self.given: list[str] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.given.extend(TESTS[index] for index in indices)

    def shutdown(self) -> None:
        self.shutting_down = True


class Run:
    def __init__(self, processes: int, folder: Path) -> None:
        (folder / "groups").write_text(json.dumps(GROUPS))
        config: Any = SimpleNamespace(getvalue=lambda name: ["popen"] * processes, option=None, hook=None)
        self._folder = folder
        self.scheduler = AloneLast(config, None)
        self.processes = [self.start() for _ in range(processes)]
        self.scheduler.schedule()

    def start(self) -> Process:
        process = Process(self._folder / "groups")
        self.scheduler.add_node(process)
        self.scheduler.add_node_collection(process, TESTS)
        return process

    def complete(self, process: Process, *tests: str) -> None:
        for test in tests:
            self.scheduler.mark_test_complete(process, TESTS.index(test))

    def end(self, process: Process) -> str | None:
        return self.scheduler.remove_node(process)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(2, tmp_path)


def test_a_group_goes_to_one_process_and_others_to_whichever_is_free(run: Run) -> None:
    first, second = run.processes
    assert (first.given, second.given) == (["a", "b"], ["m1", "m2", "m3"])
    run.complete(first, "a")
    assert first.given == ["a", "b", "c"]
    assert second.given == ["m1", "m2", "m3"]


def test_the_last_process_runs_the_tests_marked_alone_when_the_others_have_ended(run: Run) -> None:
    first, second = run.processes
    run.complete(first, "a", "b", "c")
    assert first.shutting_down
    run.complete(second, "m1", "m2")
    assert (second.given, second.shutting_down) == (["m1", "m2", "m3"], False)
    assert run.end(first) is None
    assert second.given == ["m1", "m2", "m3", "quiet1", "quiet2"]
    assert second.shutting_down
    assert run.scheduler.has_pending


def test_a_last_process_without_tests_waits_for_the_others(tmp_path: Path) -> None:
    run = Run(3, tmp_path)
    first, second, third = run.processes
    assert (third.given, third.shutting_down) == (["c"], True)
    run.complete(first, "a", "b")
    run.complete(second, "m1", "m2", "m3")
    assert (first.shutting_down, second.shutting_down) == (True, False)
    run.end(first)
    assert second.given == ["m1", "m2", "m3"]
    run.complete(third, "c")
    run.end(third)
    assert second.given == ["m1", "m2", "m3", "quiet1", "quiet2"]


def test_the_other_tests_of_a_process_that_crashes_are_run(run: Run) -> None:
    first, second = run.processes
    run.complete(second, "m1")
    assert run.end(second) == "m2"
    run.complete(first, "a", "b")
    assert first.given == ["a", "b", "c", "m3"]


def test_a_crash_of_the_last_process_leaves_the_rest_to_its_successor(run: Run) -> None:
    first, second = run.processes
    run.complete(first, "a", "b", "c")
    run.end(first)
    run.complete(second, "m1", "m2", "m3")
    assert run.end(second) == "quiet1"
    successor = run.start()
    run.scheduler.schedule()
    assert successor.given == ["quiet2"]


def test_a_single_process_runs_everything(tmp_path: Path) -> None:
    run = Run(1, tmp_path)
    (only,) = run.processes
    for test in TESTS:
        run.complete(only, test)
    assert only.given == TESTS
    assert only.shutting_down
    assert not run.scheduler.has_pending


def test_a_file_that_does_not_exist_is_named_as_without_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:cacheprovider", "tests/nothing.py"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.stderr.strip() == "ERROR: file or directory not found: tests/nothing.py"
    assert "INTERNALERROR" not in done.stdout
    assert done.returncode == pytest.ExitCode.USAGE_ERROR


def test_texts_that_cannot_be_sent_end_no_session(tmp_path: Path) -> None:
    """What a test logs is sent from process to process, also a lone surrogate."""
    (tmp_path / "conftest.py").write_text("from tests.support.reports import pytest_report_to_serializable\n")
    (tmp_path / "test_it.py").write_text(
        "import logging\n"
        "def test_that_passes():\n    logging.error('\\ud886')\n"
        "def test_that_fails():\n    assert '\\ud886' == ''\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-c", os.devnull, tmp_path / "test_it.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
