"""The fence between outputs: whatever one of them raises, the others are called, and its name is in the result."""

import errno
import logging
from typing import Any

import gevent
import pytest
from gevent.event import Event

from obswarm.api import ObswarmError
from obswarm.engine import FailedOutput, LingeringOutput, Output, Outputs, StopReason
from obswarm.record import Annotation
from tests.support.patience import HANG_S
from tests.support.recorded import MadeUpRun, result_of

HOOKS = ("start", "snapshot", "annotation", "finish", "close")


class Run:
    run_id = "r1"

    def stop(self, reason: StopReason) -> None: ...

    def abort(self, reason: StopReason) -> None: ...


class Recording(Output):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, run: Any) -> None:
        self.calls.append("start")

    def snapshot(self, snapshot: Any) -> None:
        self.calls.append("snapshot")

    def annotation(self, annotation: Annotation) -> None:
        self.calls.append("annotation")

    def finish(self, result: Any) -> None:
        self.calls.append("finish")
        self.result = result

    def close(self) -> None:
        self.calls.append("close")


class Failing(Output):
    """Raises in one hook, each time."""

    name = "--csv shop"

    def __init__(self, hook: str, error: BaseException) -> None:
        def fail(*arguments: Any) -> None:
            raise error

        setattr(self, hook, fail)


def drive(outputs: Outputs) -> Any:
    """All that happens to outputs in a run of two seconds."""
    snapshot = MadeUpRun([]).second({})
    result = result_of(snapshot)
    outputs.start(Run())
    for _ in range(2):
        outputs.snapshot(snapshot)
    outputs.annotation(Annotation(1.0, "stage", "a"))
    outputs.finish(result)
    outputs.close()
    return outputs.complete(result)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"), "UnicodeEncodeError: 'utf-8' codec"),
        (ValueError("closing tag '[/b]'"), "ValueError: closing tag '[/b]'"),
        (RecursionError("deep"), "RecursionError: deep"),
        (MemoryError(), "MemoryError"),
        (SystemExit(1), "SystemExit: 1"),
        (gevent.Timeout(3), "Timeout: 3 seconds"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_output_that_raises_is_named_once_and_the_others_are_called(
    hook: str, error: BaseException, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = Recording(), Recording()
    result = drive(Outputs([before, Failing(hook, error), after]))
    calls = ["start", "snapshot", "snapshot", "annotation", "finish", "close"]
    assert before.calls == after.calls == calls
    (failed,) = result.failed_outputs
    assert failed.output == "--csv shop"
    assert failed.reason.startswith(reason)
    assert failed.required
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage().startswith(f"--csv shop failed and is incomplete: {reason}")
    assert record.exc_info is None, "no traceback of ours"


def test_what_failed_is_known_to_the_outputs_that_finish_later() -> None:
    later = Recording()
    drive(Outputs([Failing("finish", OSError(errno.EIO, "Input/output error")), later]))
    assert later.result.failed_outputs == (FailedOutput("--csv shop", "Input/output error", True),)


def test_an_output_that_cannot_be_there_at_all_keeps_the_run_from_starting() -> None:
    with pytest.raises(ObswarmError, match="the port is taken"):
        Outputs([Failing("start", ObswarmError("the port is taken"))]).start(Run())


@pytest.mark.parametrize("error", [gevent.GreenletExit(), KeyboardInterrupt()])
def test_what_is_meant_for_the_caller_reaches_it(error: BaseException) -> None:
    outputs = Outputs([Failing("snapshot", error)])
    with pytest.raises(type(error)):
        outputs.snapshot(MadeUpRun([]).second({}))
    assert outputs.failed == ()


def test_each_output_is_closed_once_also_when_the_first_try_was_broken_off() -> None:
    before, after = Recording(), Recording()
    outputs = Outputs([before, Failing("close", KeyboardInterrupt()), after])
    with pytest.raises(KeyboardInterrupt):
        outputs.close()
    for _ in range(2):
        outputs.close()
    assert (before.calls, after.calls) == (["close"], ["close"])


class Waiting(LingeringOutput):
    """Waits for what never comes."""

    name = "--remote-write"

    def __init__(self) -> None:
        super().__init__(linger_s=20)
        self.waits = Event()
        self.longest_s: float | None = None
        self.completed = False

    def linger(self, longest_s: float) -> None:
        self.longest_s = longest_s
        self.waits.set()
        try:
            if longest_s:
                Event().wait()
        finally:
            self.completed = True


def test_the_end_of_a_lingering_output_is_cut_short_and_so_are_those_after_it() -> None:
    first, second, last = Waiting(), Waiting(), Recording()
    outputs = Outputs([first, second, last])
    closing = gevent.spawn(outputs.close)
    assert first.waits.wait(HANG_S)
    outputs.stop_waiting()
    closing.join(10)
    assert closing.successful()
    assert (first.longest_s, first.completed) == (20, True)
    assert (second.longest_s, second.completed) == (0, True)
    assert last.calls == ["close"]
    assert outputs.failed == ()


def test_a_lingering_output_that_raises_at_its_end_is_named() -> None:
    class Broken(LingeringOutput):
        name = "The metrics endpoint"

        def linger(self, longest_s: float) -> None:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    last = Recording()
    outputs = Outputs([Broken(1), last])
    outputs.close()
    assert outputs.failed == (FailedOutput("The metrics endpoint", "Connection reset by peer"),)
    assert last.calls == ["close"]
