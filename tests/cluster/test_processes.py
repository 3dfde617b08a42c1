"""Worker processes of this machine as their parent sees them: what they print, what they log, and how they end."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from obswarm.api import ObswarmError
from obswarm.cluster import processes
from obswarm.cluster.processes import RecordFormatter, WorkerProcesses, end_with_parent


class Pipe:
    """Lines that a child has written, until `end` says that there are no more."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ended: AsyncResult[None] = AsyncResult()

    def write(self, line: str) -> None:
        self._lines.append(line)

    def end(self) -> None:
        self._ended.set(None)

    def __iter__(self) -> Iterator[str]:
        self._ended.get()
        yield from self._lines


class Child:
    """In place of a subprocess.Popen."""

    made: list["Child"]

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command = command
        self.options = options
        self.stdout, self.stderr = Pipe(), Pipe()
        self.was_killed = False
        self._code: AsyncResult[int] = AsyncResult()
        Child.made.append(self)

    @property
    def incarnation(self) -> str:
        return self.command[self.command.index("--incarnation") + 1]

    def wait(self) -> int:
        return self._code.get()

    def exit(self, code: int, closes: bool = True) -> None:
        self._code.set(code)
        if closes:
            self.stdout.end()
            self.stderr.end()

    def kill(self) -> None:
        self.was_killed = True
        self.exit(-9)


class Started:
    """A parent with one child, and what it was told about ends."""

    def __init__(self) -> None:
        self.exits: list[tuple[str, int]] = []
        self.processes = WorkerProcesses(["obswarm", "worker-process"], lambda *end: self.exits.append(end))
        self.incarnation = self.processes.start(0.5)
        (self.child,) = Child.made

    def exit(self, code: int = 0) -> None:
        self.child.exit(code)
        assert self.processes.wait(5)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    Child.made = []
    monkeypatch.setattr(processes.subprocess, "Popen", Child)
    made = Started()
    yield made
    made.processes.end()


def test_a_child_is_told_where_to_connect_and_who_it_is(started: Started) -> None:
    command, options = started.child.command, started.child.options
    assert command[:2] == ["obswarm", "worker-process"]
    assert command[2:] == [
        "--endpoint",
        started.processes.endpoint,
        "--incarnation",
        started.incarnation,
        "--share",
        "0.500000",
    ]
    assert options["start_new_session"], "Ctrl-C is for the parent"
    assert options["stdin"] is subprocess.PIPE, "it ends when that is closed"
    assert options["env"]["PYTHONUNBUFFERED"] == "1"
    assert Path(started.processes.endpoint.removeprefix("ipc://")).parent.stat().st_mode & 0o777 == 0o700


def test_the_exit_of_a_child_is_told_once_with_its_code(started: Started) -> None:
    assert len(started.processes) == 1
    started.exit(3)
    assert started.exits == [(started.incarnation, 3)]
    assert len(started.processes) == 0


def test_what_a_child_prints_is_printed(started: Started, capsys: pytest.CaptureFixture[str]) -> None:
    started.child.stdout.write("price: 3 €\n")
    started.child.stderr.write("a warning of a library\n")
    started.exit()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("price: 3 €\n", "a warning of a library\n")


def test_a_record_of_a_child_is_logged_as_one_of_its_parent(
    started: Started, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    record = logging.LogRecord("shop.basket", logging.ERROR, "x.py", 1, "no %s\nleft: 100%%", ("apples",), None)
    line = RecordFormatter(started.incarnation).format(record)
    assert line.isascii()
    assert "\n" not in line
    # What the load test has printed without an end of line stands before it.
    started.child.stderr.write(f"dots...{line}\n")
    started.exit()
    assert caplog.record_tuples == [("shop.basket", logging.ERROR, "no apples\nleft: 100%")]
    assert capsys.readouterr().err == "dots..."


def test_a_record_without_the_mark_of_the_child_is_only_text(
    started: Started, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "\x1eanother " + json.dumps([logging.CRITICAL, "obswarm", "made up"]) + "\n"
    started.child.stderr.write(line)
    started.child.stdout.write(RecordFormatter(started.incarnation).format(logging.makeLogRecord({})) + "\n")
    started.exit()
    assert caplog.record_tuples == []
    printed = capsys.readouterr()
    assert printed.err == line
    assert started.incarnation in printed.out, "records are read from standard error alone"


@pytest.mark.parametrize("rest", ['[40, "obswarm", "the last wo', '[40, "obswarm"]', "7", '["x", "obswarm", "text"]'])
def test_a_record_that_was_cut_off_is_shown_as_it_is(
    started: Started, caplog: pytest.LogCaptureFixture, rest: str
) -> None:
    started.child.stderr.write(f"\x1e{started.incarnation} {rest}\n")
    started.child.stderr.write(f"\x1e{started.incarnation} " + '[30, "shop", "the next one"]\n')
    started.exit()
    assert [text for _, _, text in caplog.record_tuples] == [f"A worker process said: {rest}", "the next one"]


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError("nobody reads")


@pytest.mark.parametrize("closed", [Closed(), io.StringIO()], ids=["broken pipe", "closed file"])
def test_a_child_whose_output_nobody_reads_goes_on(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, closed: io.StringIO
) -> None:
    if not isinstance(closed, Closed):
        closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    started.child.stderr.write("lost\n")
    record = logging.makeLogRecord({"msg": "kept", "name": "shop", "levelno": logging.INFO})
    started.child.stderr.write(RecordFormatter(started.incarnation).format(record))
    with caplog.at_level(logging.INFO):
        started.exit()
    assert [record.getMessage() for record in caplog.records] == ["kept"]
    assert started.exits == [(started.incarnation, 0)]


def test_an_exit_is_told_although_a_grandchild_holds_the_pipes_open(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_LAST_WORDS_S", 0.01)
    started.child.exit(0, closes=False)
    assert started.processes.wait(5)
    assert started.exits == [(started.incarnation, 0)]


def test_a_child_that_does_not_end_by_itself_is_killed(started: Started) -> None:
    assert not started.processes.wait(0.01)
    with started.processes:
        assert not started.child.was_killed
    assert started.child.was_killed
    assert started.exits == [(started.incarnation, -9)]
    assert not Path(started.processes.endpoint.removeprefix("ipc://")).parent.exists()


def test_a_machine_without_room_for_a_socket_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(processes, "TemporaryFolder", full)
    monkeypatch.setattr(processes.tempfile, "gettempdir", lambda: "/full")
    with pytest.raises(ObswarmError) as raised:
        WorkerProcesses(["obswarm"], lambda incarnation, code: None)
    assert str(raised.value) == (
        "No folder for the socket of worker processes can be made in /full: No space left on device."
        " Set TMPDIR to another one, or run with --workers 0."
    )


def test_a_child_that_cannot_be_started_leaves_nothing_behind(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(processes.subprocess, "Popen", fails)
    with pytest.raises(ObswarmError, match=r"^A worker process cannot be started: no memory\.$"):
        started.processes.start(1.0)
    assert len(started.processes) == 1


@pytest.mark.parametrize("last", [b"", OSError("closed")], ids=["closed", "an error"])
def test_a_child_ends_when_its_parent_has_gone_and_not_before(
    monkeypatch: pytest.MonkeyPatch, last: bytes | OSError
) -> None:
    arriving: list[AsyncResult[bytes]] = [AsyncResult(), AsyncResult()]
    reads = iter(arriving)
    ended: list[bool] = []
    monkeypatch.setattr(processes, "make_nonblocking", lambda descriptor: None)
    monkeypatch.setattr(processes, "nb_read", lambda descriptor, size: next(reads).get())
    watch = end_with_parent(lambda: ended.append(True))
    arriving[0].set(b"something")
    gevent.sleep(0)
    assert ended == []
    if isinstance(last, OSError):
        arriving[1].set_exception(last)
    else:
        arriving[1].set(last)
    watch.join(timeout=5)
    assert ended == [True]
