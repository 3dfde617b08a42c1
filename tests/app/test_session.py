"""A run from its start to its exit code, with a run that is made up: outputs, signals, events, what is said."""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.api import Environment, Events, InternalError, ObswarmError, StopTest
from obswarm.app import session as module
from obswarm.app.guards_setup import GuardsSetup
from obswarm.app.outputs import file_outputs, outputs_of
from obswarm.app.session import RunSession, watch_run
from obswarm.config import SETTINGS, Origin, RunConfig, Source
from obswarm.engine import Output, RunResult, StopReason
from obswarm.guards import GuardEvaluator, parse_action, parse_requirement
from obswarm.record import StopKind
from obswarm.stats import Recorder
from tests.support.recorded import PAGE, MadeUpRun, result_of

Order = list[str]


class Noted(Output):
    """Notes its hooks in an order that several share; one that is in `raises` raises that."""

    def __init__(self, name: str, order: Order, **raises: BaseException) -> None:
        self._name, self._order, self._raises = name, order, raises

    @property
    def name(self) -> str:
        return self._name

    def _note(self, hook: str) -> None:
        self._order.append(f"{self.name}.{hook}")
        if hook in self._raises:
            raise self._raises[hook]

    def start(self, run: Any) -> None:
        self._note("start")

    def finish(self, result: RunResult) -> None:
        self._note("finish")

    def stop_waiting(self) -> None:
        self._note("stop_waiting")

    def close(self) -> None:
        self._note("close")


class Shown:
    """A display."""

    def __init__(self, order: Order, closing: Sequence[Output] = ()) -> None:
        self.progress: Sequence[Output] = [Noted("progress", order)]
        self._closing = [Noted("summary", order), *closing]
        self.results: list[RunResult] = []

    def closing(self, evaluate: Any) -> Sequence[Output]:
        return self._closing

    def finished(self, result: RunResult) -> None:
        self.results.append(result)


class Going:
    """A run: `does` is what happens meanwhile."""

    run_id = "a-run"
    observer = annotate = None
    guards_before: dict[str, Any] = {}

    def __init__(self, order: Order, does: Callable[["Going"], None] = lambda run: None) -> None:
        self.statistics = SimpleNamespace(planned_s=None)
        self.result = result_of(MadeUpRun([]).second({PAGE: [0.1]}))
        self.commands: list[tuple[str, StopReason]] = []
        self._order, self._does = order, does

    def run(self) -> RunResult:
        self._order.append("run")
        self._does(self)
        return self.result

    def stop(self, reason: StopReason) -> None:
        self.commands.append(("stop", reason))

    def abort(self, reason: StopReason) -> None:
        self.commands.append(("abort", reason))

    def close(self) -> None:
        self._order.append("run.close")


class Watcher:
    """Of a signal."""

    made: list["Watcher"]

    def __init__(self, kind: signal.Signals, call: Callable[..., None], *arguments: Any) -> None:
        self.kind, self._call, self._arguments = kind, call, arguments
        self.was_cancelled = False
        Watcher.made.append(self)

    def cancel(self) -> None:
        self.was_cancelled = True

    @classmethod
    def arrive(cls, kind: signal.Signals) -> None:
        (watcher,) = [each for each in cls.made if each.kind is kind and not each.was_cancelled]
        watcher._call(*watcher._arguments)


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of a process that has no handlers of its own."""
    before = [(kind, signal.getsignal(kind)) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    Watcher.made = []
    monkeypatch.setattr(module.gevent, "signal_handler", Watcher)
    monkeypatch.setattr(module, "ending_signals", lambda: (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    yield
    for kind, handler in before:
        signal.signal(kind, handler)


def config(**given: Any) -> RunConfig:
    return RunConfig.of(given, {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in given})


def guards(*requirements: str) -> GuardsSetup:
    evaluator = GuardEvaluator([], None, parse_action("notify"))
    return GuardsSetup(evaluator, None, [parse_requirement(each) for each in requirements], "token", False, None)


class Session:
    """A session of a run that is made up."""

    def __init__(self, does: Callable[[Going], None] = lambda run: None, **options: Any) -> None:
        self.order: Order = []
        self.environment = Environment(events=Events(), recorder=Recorder())
        self.going = Going(self.order, does)
        self.display = Shown(self.order, options.pop("closing", ()))
        self.events: list[Any] = []
        events = self.environment.events
        events.init.add_listener(lambda **_: self.order.append("init"))
        events.quitting.add_listener(lambda **_: self.order.append("quitting"))
        events.quit.add_listener(lambda exit_code, **_: self.events.append(exit_code))
        others = options.pop("outputs", lambda order: [])(self.order)
        given, checked = options.pop("config", RunConfig()), options.pop("guards", guards())
        outputs = outputs_of(given, self.display, checked.evaluate, options.get("recording"), others)
        self.session = RunSession(
            given,
            self.environment,
            options.pop("make_run", lambda handed: self.going),
            self.display,
            checked,
            outputs=outputs,
            **options,
        )

    def execute(self) -> tuple[RunResult, int]:
        return self.session.execute()


# The order.
def test_a_run_and_its_outputs_are_called_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    made = Session(outputs=lambda order: [Noted("own", order)])
    result, code = made.execute()
    assert code == 0
    names = ["own", "progress", "summary"]
    assert made.order == [
        *(f"{name}.start" for name in names),
        "init",
        "run",
        *(f"{name}.finish" for name in names),
        "run.close",
        *(f"{name}.close" for name in names),
        "quitting",
    ]
    assert made.events == [0]
    assert made.display.results == [result]
    assert capsys.readouterr().err == ""
    assert not made.session.terminated


def test_files_are_written_before_the_summary_and_the_json_result_after_everything(tmp_path: Path) -> None:
    given = config(csv=str(tmp_path / "shop"), junit=str(tmp_path / "junit.xml"), json_file=str(tmp_path / "r.json"))
    recording: Any = SimpleNamespace(name="recording", reports=(Noted("report", []),))
    outputs = outputs_of(given, Shown([]), lambda result: (), recording, [Noted("other", [])])
    assert [output.name for output in outputs] == [
        "other",
        "progress",
        f"--csv {tmp_path / 'shop'}",
        f"--junit {tmp_path / 'junit.xml'}",
        "summary",
        "recording",
        "report",
        f"--json {tmp_path / 'r.json'}",
    ]
    recording.reports = ()
    assert "report" not in [each.name for each in outputs_of(given, Shown([]), lambda result: (), recording)]
    assert file_outputs(RunConfig(), lambda result: ()) == ([], [])


def test_a_history_without_files_is_a_sentence() -> None:
    with pytest.raises(ObswarmError, match=r"^--csv-full-history needs --csv PREFIX, the path of the files\.$"):
        file_outputs(config(csv_full_history=True), lambda result: ())


# The exit code.
def test_an_output_that_fails_makes_the_run_incomplete_and_the_others_go_on() -> None:
    made = Session(outputs=lambda order: [Noted("own", order, finish=OSError("full"))])
    result, code = made.execute()
    assert code == 4
    assert [failed.output for failed in result.failed_outputs] == ["own"]
    assert "summary.finish" in made.order


def test_an_output_that_fails_when_it_is_closed_counts_as_well() -> None:
    made = Session(outputs=lambda order: [Noted("own", order, close=OSError("full"))])
    result, code = made.execute()
    assert (code, len(result.failed_outputs)) == (4, 1)
    assert made.order.count("own.close") == 1, "once"


def test_a_requirement_that_is_not_met_gives_its_own_exit_code() -> None:
    assert Session(guards=guards("p95 < 1ms")).execute()[1] == 5
    assert Session(guards=guards("p95 < 10s")).execute()[1] == 0


def test_the_exit_code_that_the_load_test_sets_counts() -> None:
    def set_code(run: Going) -> None:
        made.environment.process_exit_code = 42

    made = Session(set_code)
    assert made.execute()[1] == 42
    assert made.events == [42]


def test_an_error_of_the_load_test_is_said_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(run: Going) -> None:
        reason = StopReason(StopKind.ERROR, "an error")
        run.result = replace(run.result, stop_reason=reason, error=ObswarmError("There is no class Buyer."))

    made = Session(fail)
    assert made.execute()[1] == 2
    assert "Error: There is no class Buyer." in capsys.readouterr().err
    assert made.events == [2]


def test_a_fault_of_obswarm_is_an_incomplete_result() -> None:
    def fail(run: Going) -> None:
        run.result = replace(run.result, error=InternalError("a part failed"))

    assert Session(fail).execute()[1] == 4


def test_what_cannot_even_be_made_closes_everything_and_is_raised() -> None:
    def cannot(outputs: Any) -> Any:
        raise ObswarmError("the port is taken")

    made = Session(make_run=cannot)
    with pytest.raises(ObswarmError, match="the port is taken"):
        made.execute()
    assert made.order == ["progress.close", "summary.close"]


def test_a_run_that_raises_closes_its_outputs_and_forgets_its_signals() -> None:
    def fail(run: Going) -> None:
        raise ValueError("a fault")

    made = Session(fail)
    with pytest.raises(ValueError, match="a fault"):
        made.execute()
    assert "summary.close" in made.order
    assert all(watcher.was_cancelled for watcher in Watcher.made)


def test_what_a_greenlet_of_the_load_test_raises_stops_the_run_only_when_it_says_so() -> None:
    stopped: list[str] = []

    def raise_stop(run: Going) -> None:
        made.environment.steering = SimpleNamespace(  # type: ignore[assignment]
            stop_test=lambda detail="a user raised StopTest": stopped.append(detail), fail=None
        )
        made.environment.called_code_raised("a greenlet", StopTest())

    made = Session(raise_stop)
    made.execute()
    assert len(stopped) == 1


# Signals.
@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (signal.SIGINT, "interrupted by Ctrl-C (SIGINT)"),
        (signal.SIGTERM, "terminated (SIGTERM)"),
        (signal.SIGHUP, "hung up (SIGHUP)"),
    ],
)
def test_a_signal_stops_the_run_gracefully(kind: signal.Signals, detail: str) -> None:
    made = Session(lambda run: Watcher.arrive(kind))
    made.execute()
    assert made.going.commands == [("stop", StopReason(StopKind.SIGNAL, detail))]
    assert made.session.terminated
    assert all(watcher.was_cancelled for watcher in Watcher.made)
    assert (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN) == (kind is signal.SIGHUP), "a terminal sends it twice"


def test_a_second_ctrl_c_ends_at_once_and_a_second_sigterm_does_not(caplog: pytest.LogCaptureFixture) -> None:
    def insist(run: Going) -> None:
        for kind in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            Watcher.arrive(kind)

    made = Session(insist)
    with caplog.at_level(logging.INFO):
        made.execute()
    assert [command for command, _ in made.going.commands] == ["stop", "stop", "stop", "abort"]
    assert "Interrupted: waiting for running tasks. Ctrl-C again stops at once." in caplog.text
    assert "SIGTERM: stopping gracefully." in caplog.text


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_run_ends_the_wait_of_outputs(kind: signal.Signals) -> None:
    class Slow(Noted):
        def finish(self, result: RunResult) -> None:
            super().finish(result)
            Watcher.arrive(kind)

    made = Session(outputs=lambda order: [Slow("slow", order)])
    made.execute()
    assert made.going.commands == []
    assert "slow.stop_waiting" in made.order
    assert made.session.terminated


# A run that another process makes.
def test_a_run_of_another_process_is_watched_to_its_end_without_the_load_tests_events() -> None:
    order: Order = []
    display, going = Shown(order), Going(order, lambda run: Watcher.arrive(signal.SIGTERM))
    outputs = [Noted("own", order), Noted("failing", order, finish=OSError("full"))]
    result = watch_run(lambda handed: going, outputs, display)
    assert order == [
        "own.start",
        "failing.start",
        "run",
        "own.finish",
        "failing.finish",
        "own.close",
        "failing.close",
    ]
    assert [command for command, _ in going.commands] == ["stop"]
    assert display.results == [result]
    assert [failed.output for failed in result.failed_outputs] == ["failing"]


def test_outputs_of_a_run_that_no_other_process_makes_are_closed() -> None:
    order: Order = []

    def cannot(outputs: Any) -> Any:
        raise ObswarmError("No master answers.")

    with pytest.raises(ObswarmError, match="No master answers"):
        watch_run(cannot, [Noted("own", order)], Shown(order))
    assert order == ["own.close"]
