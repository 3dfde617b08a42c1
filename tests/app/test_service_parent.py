"""The parent of a service's process, with children that are made up: when one is started again, and the exit code."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from obswarm.api import ObswarmError
from obswarm.app import service_process as module
from obswarm.app.service_process import SERVICE_FOLDER, ends_as_meant, supervise


class Children:
    """Those that are started, and what each does: an exit code, with or without having said that it is meant."""

    def __init__(self, *does: Callable[["Child"], int]) -> None:
        self.does = list(does)
        self.started: list[Child] = []
        self.pauses: list[float] = []

    def __call__(self, command: list[str], **options: Any) -> "Child":
        self.started.append(Child(command, options, self.does[min(len(self.started), len(self.does) - 1)]))
        return self.started[-1]


class Child:
    def __init__(self, command: list[str], options: dict[str, Any], does: Callable[["Child"], int]) -> None:
        self.command, self.options, self._does = command, options, does
        self.signals: list[signal.Signals] = []

    @property
    def variable(self) -> tuple[str, str, str]:
        return self.options["env"][module._VARIABLE].partition(":")  # type: ignore[no-any-return]

    def announce_end(self) -> None:
        (descriptor,) = self.options["pass_fds"]
        os.write(descriptor, b".")

    def send_signal(self, kind: signal.Signals) -> None:
        self.signals.append(kind)

    def wait(self) -> int:
        return self._does(self)


def crash(code: int) -> Callable[[Child], int]:
    return lambda child: code


def end(code: int) -> Callable[[Child], int]:
    def does(child: Child) -> int:
        child.announce_end()
        return code

    return does


class Clock:
    def __init__(self) -> None:
        self.now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module.clock, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Callable[[Children], int | None]:
    """Supervise these children; pauses pass at once, and are noted."""
    monkeypatch.delenv(module._VARIABLE, raising=False)

    def with_children(children: Children, *, hands_over: bool = False) -> int | None:
        class Ending:
            came = False

            def set(self) -> None:
                self.came = True

            def is_set(self) -> bool:
                return self.came

            def wait(self, seconds: float) -> bool:
                children.pauses.append(seconds)
                return self.came

        monkeypatch.setattr(module.subprocess, "Popen", children)
        monkeypatch.setattr(module, "Event", Ending)
        monkeypatch.setattr(module, "signal_handler", lambda *arguments: Watcher(arguments))
        Watcher.made = []
        return supervise(hands_over)

    return with_children


class Watcher:
    """Of a signal."""

    made: list["Watcher"]

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.kind, self._call, *self._arguments = arguments
        self.was_cancelled = False
        Watcher.made.append(self)

    def arrive(self) -> None:
        self._call(*self._arguments)

    def cancel(self) -> None:
        self.was_cancelled = True


@pytest.mark.parametrize("code", [0, 2, 4])
def test_the_exit_code_of_a_child_that_ends_as_it_is_meant_to_is_that_of_the_service(
    run: Callable[[Children], int | None], code: int
) -> None:
    children = Children(end(code))
    assert run(children) == code
    assert len(children.started) == 1
    assert all(watcher.was_cancelled for watcher in Watcher.made)


def test_a_child_that_was_killed_as_it_is_meant_to_gives_the_code_of_a_shell(
    run: Callable[[Children], int | None],
) -> None:
    assert run(Children(end(-signal.SIGTERM))) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("code", "text"), [(0, "exit code 0"), (-9, "signal SIGKILL"), (-11, "signal SIGSEGV")])
def test_a_child_that_ends_otherwise_is_started_again_whatever_its_exit_code(
    run: Callable[[Children], int | None], caplog: pytest.LogCaptureFixture, code: int, text: str
) -> None:
    children = Children(crash(code), end(7))
    assert run(children) == 7
    assert len(children.started) == 2
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        f"The process of this service ended unexpectedly ({text}); restarting it."
    ]


def test_a_process_that_crashes_at_once_is_restarted_with_growing_pauses(
    run: Callable[[Children], int | None],
) -> None:
    children = Children(*[crash(1)] * 9, end(0))
    assert run(children) == 0
    assert children.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_process_that_ran_for_a_while_is_restarted_soon(run: Callable[[Children], int | None], clock: Clock) -> None:
    def live(child: Child) -> int:
        clock.now += 31.0
        return 1

    children = Children(crash(1), crash(1), live, crash(1), end(0))
    assert run(children) == 0
    assert children.pauses == [0.1, 0.2, 0.1, 0.2]


def test_a_child_knows_its_parent_its_pipe_and_a_folder_that_outlives_it(
    run: Callable[[Children], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "command_again", lambda: ["python", "obswarm", "master"])
    monkeypatch.setattr(module, "environment_of_it", lambda: {"OBSWARM_HIDDEN": "x"})
    folders: list[bool] = []

    def look(child: Child) -> int:
        folders.append(Path(child.options["env"][SERVICE_FOLDER]).is_dir())
        return 1

    children = Children(look, look, end(0))
    run(children)
    first, second, _ = children.started
    assert folders == [True, True]
    assert first.options["env"][SERVICE_FOLDER] == second.options["env"][SERVICE_FOLDER]
    assert not Path(first.options["env"][SERVICE_FOLDER]).exists(), "it is gone with the service"
    assert first.command == ["python", "obswarm", "master"]
    assert first.options["env"]["OBSWARM_HIDDEN"] == "x"
    assert first.variable[0] == str(os.getpid())
    assert first.options["process_group"] == 0, "Ctrl-C is passed on once"


def test_a_service_runs_also_where_no_folder_can_be_made(
    run: Callable[[Children], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(kind: str) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "TemporaryFolder", full)
    children = Children(end(0))
    assert run(children) == 0
    assert SERVICE_FOLDER not in children.started[0].options["env"]


def test_a_signal_is_passed_on_and_the_child_not_started_again(run: Callable[[Children], int | None]) -> None:
    def signalled(child: Child) -> int:
        next(watcher for watcher in Watcher.made if watcher.kind is signal.SIGTERM).arrive()
        return 1

    children = Children(signalled)
    assert run(children) == 1
    assert children.started[0].signals == [signal.SIGTERM]


@pytest.mark.parametrize(
    ("arrives", "sent", "code"), [(signal.SIGTERM, signal.SIGKILL, 0), (signal.SIGINT, signal.SIGINT, 137)]
)
def test_at_sigterm_a_run_is_left_to_the_next_process_if_wanted(
    run: Callable[..., int | None], arrives: signal.Signals, sent: signal.Signals, code: int
) -> None:
    def signalled(child: Child) -> int:
        next(watcher for watcher in Watcher.made if watcher.kind is arrives).arrive()
        return -signal.SIGKILL

    children = Children(signalled)
    assert run(children, hands_over=True) == code
    assert children.started[0].signals == [sent]


def test_a_signal_in_the_pause_ends_the_service(
    run: Callable[[Children], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash_before_a_signal(child: Child) -> int:
        monkeypatch.setattr(module.logger, "error", lambda *arguments: next(iter(Watcher.made)).arrive())
        return 1

    children = Children(crash_before_a_signal)
    assert run(children) == 0
    assert (len(children.started), children.started[0].signals) == (1, [])


# In the child.
@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    """What is written to pipes, of a process whose parent supervises it."""
    written: list[tuple[int, bytes]] = []
    monkeypatch.setenv(module._VARIABLE, f"{os.getppid()}:77")
    monkeypatch.setattr(module.os, "write", lambda descriptor, content: written.append((descriptor, content)))
    return written


def test_a_child_says_that_its_end_is_meant(said: list[tuple[int, bytes]]) -> None:
    with ends_as_meant():
        assert said == []
    assert said == [(77, b".")]


def test_an_error_in_a_sentence_is_meant_and_any_other_is_a_crash(said: list[tuple[int, bytes]]) -> None:
    with pytest.raises(ObswarmError), ends_as_meant():
        raise ObswarmError("the port is taken")
    assert said == [(77, b".")]
    said.clear()
    with pytest.raises(ValueError, match="a fault"), ends_as_meant():
        raise ValueError("a fault")
    assert said == []


@pytest.mark.parametrize("value", ["", "nothing", "1:", "1:x"])
def test_a_process_without_that_parent_says_nothing(
    said: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """As a process that inherits the variable of one that is supervised."""
    monkeypatch.setenv(module._VARIABLE, value)
    monkeypatch.setattr(module.os, "getppid", lambda: 1 if value == "1:x" else 2)
    with ends_as_meant():
        pass
    assert said == []


def test_a_child_works_and_ends_with_its_parent(said: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[tuple[int, int]] = []

    class Libc:
        def __init__(self, *arguments: Any, **options: Any) -> None: ...

        def prctl(self, option: int, kind: int) -> None:
            requested.append((option, kind))

    monkeypatch.setattr(module.ctypes, "CDLL", Libc)
    monkeypatch.setattr(module.sys, "platform", "linux")
    assert supervise() is None
    assert requested == [(1, signal.SIGKILL)]


def test_a_child_whose_parent_has_gone_meanwhile_ends_at_once(
    said: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([os.getppid(), os.getppid(), os.getppid() + 1])
    killed: list[tuple[int, int]] = []

    class Libc:
        def __init__(self, *arguments: Any, **options: Any) -> None: ...

        def prctl(self, option: int, kind: int) -> None: ...

    monkeypatch.setattr(module.ctypes, "CDLL", Libc)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(module.os, "kill", lambda *arguments: killed.append(arguments))
    assert supervise() is None
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_where_the_kernel_does_not_end_it_a_child_watches_its_parent(
    said: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([os.getppid(), os.getppid(), os.getppid(), os.getppid() + 1])
    killed: list[tuple[int, int]] = []
    watches: list[Callable[[], None]] = []

    class Supervisor:
        def keep(self, name: str, watch: Callable[[], None]) -> None:
            watches.append(watch)

    monkeypatch.setattr(module, "Supervisor", Supervisor)
    monkeypatch.setattr(module.sys, "platform", "darwin")
    monkeypatch.setattr(module.gevent, "sleep", lambda seconds: None)
    monkeypatch.setattr(module.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(module.os, "kill", lambda *arguments: killed.append(arguments))
    assert supervise() is None
    assert killed == []
    watches[0]()
    assert killed == [(os.getpid(), signal.SIGKILL)]
