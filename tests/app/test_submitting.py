"""Processes that submit the runs of a master's page, and what the page keeps, when nothing can be started or written."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.app import submitting
from obswarm.app.service_page import ServicePage
from obswarm.app.submitting import Submitter
from obswarm.config import RunConfig
from obswarm.web.rest.requests import Start
from obswarm.web.rest.service import NotPossible


@pytest.fixture
def submitter(tmp_path: Path) -> Submitter:
    return Submitter(RunConfig.of({}, {}), tmp_path, tmp_path / "loadtest.py", "token")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/nowhere/python",), "No process can be started for the run: No such file or directory."),
        ((sys.executable, "-c", "pass"), "The run could not be submitted in time; the master's log may say why."),
        ((sys.executable, "-c", "print('{')"), "The run could not be submitted in time; the master's log may say why."),
    ],
)
def test_a_process_that_does_not_answer_is_an_error_of_the_request(
    submitter: Submitter, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], why: str
) -> None:
    monkeypatch.setattr(submitting, "COMMAND", command)
    with pytest.raises(NotPossible) as refused:
        submitter.submit(Start())
    assert str(refused.value) == why
    assert submitter.clients == []


def test_what_a_process_prints_before_its_answer_goes_to_its_standard_error(submitter: Submitter) -> None:
    assert submitter._loadtest is not None
    submitter._loadtest.write_text(
        "from obswarm import User, task\nprint('{}')\nclass Visitor(User):\n    @task\n    def look(self):\n        pass\n"
    )
    assert [each.name for each in submitter.describe().user_classes] == ["Visitor"]


def test_sessions_that_cannot_be_written_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    page: Any = SimpleNamespace(
        _path=tmp_path / "file" / "page.json", page=SimpleNamespace(access=SimpleNamespace(sessions={}))
    )
    with caplog.at_level(logging.WARNING):
        ServicePage._save(page)
    assert "Those who use the page have to log in again" in caplog.text
