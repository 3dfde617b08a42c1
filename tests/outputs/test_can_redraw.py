"""Where the live display is drawn, and where there are plain lines."""

import os
import pty
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from obswarm.cli.display import LiveDisplay
from obswarm.cli.plain import PlainProgress
from obswarm.cli.terminal import TerminalDisplay, can_redraw
from obswarm.config import RunConfig


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    main, side = pty.openpty()
    with open(side, "w", encoding="utf-8") as stream:
        yield stream
    os.close(main)


def test_a_terminal_with_cursor_control(terminal: TextIO) -> None:
    assert can_redraw(terminal)


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TERM", "unknown"), ("TERM", ""), ("CI", "true")])
def test_plain_lines_where_it_cannot_or_should_not(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert not can_redraw(terminal)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("CI", "false"), ("CI", "")])
def test_variables_that_say_nothing(terminal: TextIO, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert can_redraw(terminal)


def test_a_python_without_curses(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "curses", None)
    assert can_redraw(terminal)


def test_another_encoding_and_a_pipe(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.dup(terminal.fileno()), "w", encoding="latin-1") as narrow:
        assert not can_redraw(narrow)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as pipe:
        assert not can_redraw(pipe)


@pytest.mark.parametrize(("term", "is_live"), [("xterm", True), ("dumb", False)])
def test_a_run_on_a_terminal_without_cursor_control_has_plain_lines(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch, term: str, is_live: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("obswarm.cli.terminal.set_up_logging", lambda *_: None)
    kinds = {type(output) for output in TerminalDisplay(RunConfig()).progress}
    assert (LiveDisplay in kinds) is is_live
    assert (PlainProgress in kinds) is not is_live
