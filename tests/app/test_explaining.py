"""Explaining a run that is being recorded: in a process of its own, within a time, and without harm when it fails."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from obswarm.analysis.explain.explanation import SHORTEST_STEPS
from obswarm.api import ObswarmError
from obswarm.app import explaining as module
from obswarm.app import session
from obswarm.app.explaining import Explained, Explainer
from obswarm.config import FileConfig
from tests.cli.test_explain import RUN, store_run
from tests.support.patience import HANG_S


@dataclass
class Stored:
    path: Path

    def wait_until_written(self, longest_s: float) -> None:
        pass


@pytest.fixture
def explainer(tmp_path: Path) -> Explainer:
    store_run(tmp_path)
    return Explainer(Stored(tmp_path / "runs.sqlite"), FileConfig())


def answered_by(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", program))


@pytest.mark.parametrize("yields", [False, True])
def test_the_sentence_and_the_first_suspect_are_those_of_the_explanation(explainer: Explainer, yields: bool) -> None:
    found = explainer.explain(RUN, HANG_S, yields=yields)
    evidence = "waiting for row locks rose from 0 to 12 at 0:31"
    assert found.sentence.startswith(f"MySQL (db) saturated first, at 3 users: {evidence}")
    assert found.suspect.startswith(f"MySQL (db): {evidence}")


def test_a_healthy_run_has_neither(tmp_path: Path) -> None:
    store_run(tmp_path, slow_from=100)
    assert Explainer(Stored(tmp_path / "runs.sqlite"), FileConfig()).explain(RUN, HANG_S) == Explained()


def test_a_run_that_is_not_in_the_store_is_an_error(explainer: Explainer) -> None:
    with pytest.raises(ObswarmError, match="no run"):
        explainer.explain("another", HANG_S)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(1000)", "it took longer than 0.5s"),
        ("raise SystemExit('no memory')", "no memory"),
        ("import os; os._exit(7)", "its process ended with exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process ended with exit code -9"),
        ("print('[]')", "its process returned no result"),
        ("print('{')", "its process returned no result"),
        ("print('{}')", "its process returned no result"),
        ("""print('{"error": "The store is damaged."}')""", "The store is damaged"),
        ("pass", "its process returned no result"),
    ],
)
def test_whatever_happens_to_the_process_is_a_reason(
    explainer: Explainer, program: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by(monkeypatch, program)
    longest_s = 0.5 if "longer" in reason else HANG_S
    with pytest.raises(ObswarmError) as raised:
        explainer.explain(RUN, longest_s)
    assert str(raised.value) == reason


def test_a_process_that_cannot_be_started_is_a_reason(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMMAND", ("/nowhere/python",))
    with pytest.raises(ObswarmError, match="no process can be started"):
        explainer.explain(RUN, HANG_S)


def test_runs_that_are_too_short_for_an_explanation_start_no_process() -> None:
    assert session._SHORTEST_S == SHORTEST_STEPS
