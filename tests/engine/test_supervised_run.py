"""A run whose parts fail: it ends as an error, and always with a result."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from obswarm.api import Environment, Events, InternalError, User, constant, task
from obswarm.app import exit_codes
from obswarm.app.exit_status import exit_code_of
from obswarm.engine import Output, Outputs, Ramp, Run, RunResult, StopReason
from obswarm.record import RunState, Snapshot, StopKind
from obswarm.stats import Recorder
from tests.support.patience import HANG_S
from tests.support.runs import local_run
from tests.support.stalls import StallMeter


class Counted(User):
    wait_time = constant(0.002)

    @task
    def count(self) -> None:
        self.environment.recorder.record("GET", "/", 0.001, 10, 200, None)


class Kept(Output):
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.calls: list[str] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


class RunObserver:
    """As guards are."""

    def start(self, control: Any, started_wall_s: float) -> None: ...

    def next_due_s(self) -> None:
        return None

    def on_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return snapshot

    def saved_state(self) -> dict[str, Any]:
        return {}

    def view(self, snapshot: Snapshot) -> Snapshot:
        return snapshot

    def close(self) -> None: ...


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def run(kept: Kept) -> Iterator[Run]:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Counted])
    outputs, observer = Outputs([kept]), RunObserver()
    made = local_run(environment, Ramp(2, 1000, duration_s=5), outputs=outputs, observer=observer, interval_s=0.03)
    yield made
    made._generator.stop(0)


def fails(*arguments: Any) -> Any:
    raise ValueError("of ours")


def fails_once(function: Any, after: int) -> Any:
    calls = iter(range(1_000_000))

    def wrapped(*arguments: Any) -> Any:
        if next(calls) == after:
            raise ValueError("of ours")
        return function(*arguments)

    return wrapped


def finished(run: Run) -> RunResult:
    with gevent.Timeout(HANG_S):
        return run.run()


PARTS = {
    # name: what of the generator fails, and whether it may do so before a user has made a request
    "prepare": True,
    "is_ready": True,
    "start": True,
    "refresh": False,
    "collect": False,
    "end_interval": False,
    "apply": True,
    "has_settled": True,
    "everyone_has_left": False,
    "stop": False,
    "end": False,
}


@pytest.mark.parametrize("part", PARTS)
def test_a_result_comes_whatever_part_of_the_run_fails(
    run: Run, kept: Kept, part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run._generator, part, fails)
    gevent.spawn_later(0.2, run.stop, StopReason(StopKind.TIME, "over"))
    result = finished(run)
    assert isinstance(result.error, InternalError)
    assert "ValueError: of ours" in str(result.error)
    assert exit_code_of(result, 1) == exit_codes.INCOMPLETE
    assert result.final.state is RunState.STOPPED
    assert kept.snapshots, "the last one is given out whatever happens"
    if not PARTS[part] and part != "collect":
        assert result.final.total.requests > 0
        assert result.final.user_count == 0 or part == "stop"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("hook", ["start", "on_snapshot", "close"])
def test_a_run_does_not_go_on_without_its_guards(run: Run, kept: Kept, hook: str) -> None:
    setattr(run._observer, hook, fails)
    if hook == "close":
        gevent.spawn_later(0.1, run.stop, StopReason(StopKind.TIME, "over"))
    with StallMeter() as stalls:
        result = finished(run)
    assert isinstance(result.error, InternalError)
    assert result.final.elapsed_s < stalls.allowed_s(2)
    assert kept.snapshots[-1].state is RunState.STOPPED
    assert kept.snapshots[-1].total.requests == result.final.total.requests


def test_the_ticker_works_until_the_users_have_ended_though_it_has_failed_once(run: Run, kept: Kept) -> None:
    run._generator.collect = fails_once(run._generator.collect, 2)  # type: ignore[method-assign]
    result = finished(run)
    assert result.stop_reason.kind is StopKind.ERROR
    assert result.stop_reason.detail.startswith("The ticker of the run failed (ValueError: of ours)")
    counted = sum(snapshot.interval_total.requests for snapshot in kept.snapshots)
    assert counted == result.final.total.requests > 0, "nothing is lost"


def test_what_was_started_again_is_told_with_the_run(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run._generator._health._measure_lag = fails_once(run._generator._health._measure_lag, 0)  # type: ignore[method-assign]
    gevent.spawn_later(0.2, run.stop, StopReason(StopKind.TIME, "over"))
    result = finished(run)
    assert result.error is None
    (mark,) = [mark for mark in result.annotations if mark.kind == "restart"]
    assert mark.text == "The measurement of the event loop's lag failed and was restarted: ValueError: of ours"
    assert mark.text in caplog.text


def test_what_does_not_stay_alive_ends_the_run(run: Run) -> None:
    run._generator._health._measure_lag = fails  # type: ignore[method-assign]
    result = finished(run)
    assert isinstance(result.error, InternalError)
    assert str(result.error).startswith("The measurement of the event loop's lag failed (ValueError: of ours)")
