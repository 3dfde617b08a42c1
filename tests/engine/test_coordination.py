"""Every rule by which a run coordinates its executor, generator, observer and outputs, with users that are numbers, on a
clock of the test's own."""

from collections.abc import Callable, Sequence
from typing import Any

import gevent
import pytest

from obswarm import defaults
from obswarm.api import Environment, Events, InternalError, LoadTestShape, ObswarmError, Stage, StopTest, User, task
from obswarm.engine import (
    ClosedExecutor,
    GeneratorWarning,
    LoadSchedule,
    Output,
    Outputs,
    PartFailed,
    PartRestarted,
    Progress,
    Ramp,
    Run,
    RunFailed,
    RunResult,
    ShapeSchedule,
    StagesSchedule,
    StopReason,
    StopRequested,
)
from obswarm.record import Annotation, RunState, Snapshot, StopKind
from obswarm.stats import Recorder, StatsTable
from tests.support.fake_time import FakeTime
from tests.support.stub_generator import StubGenerator, order_of

CTRL_C = StopReason(StopKind.SIGNAL, "interrupted")
_TURNS = 4
"""That the end of a run takes, besides time."""


class Visitor(User):
    @task
    def nothing(self) -> None: ...


class Kept(Output):
    """Keeps what it is given; `breaks` is a hook that raises."""

    def __init__(self, breaks: str = "") -> None:
        self.snapshots: list[Snapshot] = []
        self.kinds: list[str] = []
        self.restored_with: list[str] | None = None
        self._breaks = breaks

    def _check(self, hook: str) -> None:
        if hook == self._breaks:
            raise OSError(28, "No space left on device")

    def snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._check("snapshot")

    def annotation(self, annotation: Annotation) -> None:
        self.kinds.append(annotation.kind)
        self._check("annotation")

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        self.restored_with = [each.kind for each in annotations]


class KeptJournal:
    """Keeps in memory what a run writes, and when compared with `calls` of its generator."""

    def __init__(self, calls: list[str]) -> None:
        self.written: list[tuple[int, Progress]] = []
        self.is_due = False
        self._calls = calls

    def append(self, delta: StatsTable, progress: Progress, *, reset: bool = False, is_over: bool = False) -> None:
        self._calls.append("reset" if reset else "is_over" if is_over else "append")
        self.written.append((sum(stats.requests for stats in delta.endpoints.values()), progress))

    def rewrite(self, whole: StatsTable, progress: Progress) -> None:
        self._calls.append("rewrite")
        self.is_due = False

    def finish(self) -> None:
        self._calls.append("finish")


class Earlier:
    """A run that another process began."""

    def __init__(self, progress: Progress, table: StatsTable) -> None:
        self.progress, self.table = progress, table


class Coordinated:
    """A run in a greenlet of its own; `pass_s` lets time pass."""

    def __init__(
        self,
        time: FakeTime,
        schedule: LoadSchedule,
        outputs: Sequence[Output] = (),
        journal: bool = False,
        stop_timeout: float = 5,
        reset_stats: bool = False,
        shape: LoadTestShape | None = None,
        **options: Any,
    ) -> None:
        self.time = time
        self.events: list[str] = []
        self.environment = Environment(
            events=Events(),
            recorder=Recorder(),
            user_classes=[Visitor],
            stop_timeout=stop_timeout,
            reset_stats=reset_stats,
            shape_class=shape,
        )
        for name in ("test_start", "test_stopping", "test_stop", "spawning_complete", "reset_stats"):
            getattr(self.environment.events, name).add_listener(lambda _name=name, **_: self.events.append(_name))
        self.generator = StubGenerator(self.environment)
        self.kept = Kept()
        self.journal = KeptJournal(self.generator.calls) if journal else None
        self.run = Run(
            self.environment,
            ClosedExecutor(schedule, [Visitor]),
            self.generator,
            test="t",
            outputs=Outputs([*outputs, self.kept]),
            journal=self.journal,
            **options,
        )
        self._greenlet: gevent.Greenlet | None = None

    def pass_s(self, seconds: float) -> None:
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self.run.run)
        self.time.advance(seconds)
        for _ in range(_TURNS):
            self.time.advance(0)

    @property
    def has_ended(self) -> bool:
        return self._greenlet is not None and self._greenlet.ready()

    @property
    def result(self) -> RunResult:
        assert self.has_ended
        assert self._greenlet is not None
        result: RunResult = self._greenlet.get()
        return result

    @property
    def users(self) -> int:
        return self.generator.assigned

    def requests(self, number: int) -> None:
        for _ in range(number):
            self.environment.recorder.record("GET", "/", 0.01, 10, 200)

    def reason_after(self, seconds: float) -> str:
        self.pass_s(seconds)
        return f"{self.result.stop_reason.kind}: {self.result.stop_reason.detail}"


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Coordinated]:
    time = FakeTime(monkeypatch)
    return lambda *arguments, **options: Coordinated(time, *arguments, **options)


Start = Callable[..., Coordinated]


def test_the_parts_of_a_run_come_in_their_order(start: Start) -> None:
    made = start(Ramp(5, 10))
    made.pass_s(2.5)
    made.run.stop(CTRL_C)
    made.pass_s(1)
    parts = order_of(
        made.generator.calls, "prepare", "start", "spawning_complete", "end_interval", "stop", "end(0)", "close"
    )
    assert parts == ["prepare", "start", "spawning_complete", "end_interval", "end_interval", "stop", "end(0)"]
    assert made.events == ["test_start", "spawning_complete", "test_stopping", "test_stop"]
    assert made.kept.kinds == ["start", "stop"]
    assert [snapshot.state for snapshot in made.kept.snapshots] == ["running", "running", "stopped"]
    made.run.close()
    assert made.generator.calls[-1] == "close"


def test_a_stop_gives_users_the_stop_timeout_and_the_first_reason_counts(start: Start) -> None:
    made = start(Ramp(5, 10), stop_timeout=7)
    made.generator.stopping = lambda timeout_s: gevent.sleep(3)
    made.pass_s(2)
    made.requests(4)
    made.run.stop(CTRL_C)
    made.run.stop(StopReason(StopKind.TIME, "later"))
    made.pass_s(2)
    assert not made.has_ended
    assert made.run.state is RunState.STOPPING
    made.requests(2)
    made.pass_s(2)
    assert made.result.stop_reason == CTRL_C
    assert made.generator.stopped_with_s == 7
    assert not made.result.forced
    assert made.result.final.total.requests == 6, "what was measured while users ended counts"
    assert made.result.final.load_s == pytest.approx(2, abs=0.1)
    assert made.result.final.stats_elapsed_s == pytest.approx(5, abs=0.1)


def test_an_abort_gives_users_no_time(start: Start) -> None:
    made = start(Ramp(5, 10), stop_timeout=7)
    made.pass_s(2)
    made.run.abort(CTRL_C)
    made.pass_s(0)
    assert made.generator.stopped_with_s == 0
    assert made.result.forced
    assert order_of(made.generator.calls, "kill", "stop") == ["kill", "stop"]


def test_an_abort_after_a_stop_cuts_the_wait_off(start: Start) -> None:
    made = start(Ramp(5, 10), stop_timeout=60)
    killed = gevent.event.Event()
    made.generator.stopping = lambda timeout_s: killed.wait()
    made.pass_s(2)
    made.run.stop(CTRL_C)
    made.pass_s(30)
    assert not made.has_ended
    made.run.abort(StopReason(StopKind.SIGNAL, "again"))
    assert made.generator.calls[-1] == "kill"
    killed.set()
    made.pass_s(0)
    assert (made.result.stop_reason, made.result.forced) == (CTRL_C, True)


def test_a_run_that_is_stopped_before_it_begins_has_no_users(start: Start) -> None:
    made = start(Ramp(5, 10))
    made.run.stop(CTRL_C)
    made.pass_s(1)
    assert made.result.stop_reason == CTRL_C
    assert made.events == []
    assert order_of(made.generator.calls, "prepare", "apply") == []


def test_the_load_stays_held_until_everybody_has_released_it(start: Start) -> None:
    made = start(Ramp(100, 10))
    made.pass_s(2)
    made.run.hold("guard a")
    made.run.hold("alert b")
    held = made.users
    made.pass_s(3)
    assert (made.users, made.run.state) == (held, RunState.HOLDING)
    assert dict(made.run.user_targets()) == {"Visitor": held}
    made.run.release("guard a")
    made.pass_s(2)
    assert made.users == held
    made.run.release("alert b")
    made.pass_s(2)
    assert made.users == pytest.approx(held + 20, abs=2)
    assert made.run.state is RunState.SPAWNING


def test_a_scale_takes_its_share_of_living_users_once_for_each_cause(start: Start) -> None:
    made = start(Ramp(100, 1000))
    made.pass_s(1)
    made.generator.ended = 20
    made.run.scale(0.5, "guard a")
    made.pass_s(2)
    assert made.users == 60, "half of the 80 that live, and the 20 that are not replaced"
    made.run.scale(0.5, "guard a")
    made.pass_s(2)
    assert made.users == 60
    assert dict(made.run.in_force) == {"guard a": "scale(0.5)"}


def test_users_that_are_not_started_yet_are_not_started_any_more_after_a_scale(start: Start) -> None:
    made = start(Ramp(100, 1000))
    made.pass_s(1)
    made.generator.not_started = 40
    made.run.scale(0.5, "guard a")
    made.pass_s(2)
    assert made.users == 30


def test_another_load_is_headed_for_at_its_own_rate(start: Start) -> None:
    made = start(Ramp(10, 1000))
    made.pass_s(1)
    made.run.set_load(30, 10)
    made.pass_s(1)
    assert made.users == pytest.approx(20, abs=2)
    made.pass_s(2)
    assert made.users == 30


def test_a_run_ends_with_its_run_time(start: Start) -> None:
    made = start(Ramp(5, 10), planned_s=10)
    made.pass_s(9.9)
    assert not made.has_ended
    assert made.reason_after(0.3) == "time: the planned time is over"
    assert made.run.statistics.planned_s == 10


def test_a_run_ends_with_its_schedule_and_names_those_that_hold_the_load(start: Start) -> None:
    made = start(StagesSchedule((Stage(5, 10), Stage(5, 10))))
    made.pass_s(3)
    made.run.hold("guard a")
    assert made.reason_after(7.3) == "time: the planned time is over, and the load was held: guard a"


def test_the_shorter_of_run_time_and_schedule_counts(start: Start) -> None:
    made = start(Ramp(5, 10, duration_s=100), planned_s=3)
    assert made.reason_after(3.2).startswith("time")


class Shape(LoadTestShape):
    def __init__(self, last: Any) -> None:
        super().__init__()
        self.last = last

    def tick(self) -> Any:
        if self.get_run_time() < 4:
            return 5, 100
        if isinstance(self.last, Exception):
            raise self.last
        return self.last


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (None, "time: the load shape has ended"),
        (StopTest(), "user: the shape raised StopTest"),
        (ValueError("x"), "error: Shape.tick() raised ValueError: x"),
        (
            "nonsense",
            "error: Shape.tick() returned 'nonsense'; it has to return (users, spawn_rate) or None to end the run.",
        ),
    ],
)
def test_a_run_ends_with_its_shape(start: Start, last: Any, reason: str) -> None:
    shape = Shape(last)
    made = start(ShapeSchedule(shape, [Visitor]), shape=shape)
    made.pass_s(3.5)
    assert (made.users, made.has_ended) == (5, False)
    assert made.reason_after(1) == reason
    assert (made.result.error is not None) == reason.startswith("error")


def test_a_load_that_follows_no_plan_any_more_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "UNFOLLOWED_LIMIT_S", 20.0)
    shape = Shape((5, 100))
    made = start(ShapeSchedule(shape, [Visitor]), shape=shape)
    made.pass_s(2)
    made.run.hold("guard a")
    made.pass_s(19)
    assert not made.has_ended
    assert made.reason_after(2).endswith("the load has been held or scaled for 20s, and its plan has no known end")


def test_a_generator_that_never_gets_ready_is_waited_for_until_the_run_is_stopped(start: Start) -> None:
    made = start(Ramp(5, 10))
    made.generator.ready = False
    made.pass_s(1000)
    assert (made.has_ended, made.users, made.events) == (False, 0, [])
    made.run.stop(CTRL_C)
    made.pass_s(0)
    assert made.result.stop_reason == CTRL_C
    assert made.events == []


def test_a_generator_that_gives_up_ends_the_run_as_an_error(start: Start) -> None:
    made = start(Ramp(5, 10))
    made.generator.raises["is_ready"] = ObswarmError("1 of 2 workers were ready after 30s.")
    made.pass_s(1)
    assert str(made.result.error) == made.result.stop_reason.detail == "1 of 2 workers were ready after 30s."
    assert made.result.final.state is RunState.STOPPED


def test_the_time_of_a_run_begins_when_the_generator_is_ready(start: Start) -> None:
    made = start(Ramp(5, 10, duration_s=10))
    made.generator.ready = False
    made.pass_s(100)
    made.generator.ready = True
    made.generator.happened.set()
    made.pass_s(9.9)
    assert not made.has_ended
    made.pass_s(0.3)
    assert made.result.final.elapsed_s == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("part", ["prepare", "start", "apply", "refresh", "collect", "end_interval", "stop", "end(0)"])
def test_a_generator_that_fails_ends_the_run_with_a_result(start: Start, part: str) -> None:
    made = start(Ramp(5, 10))
    made.generator.raises[part] = ValueError("of ours")
    made.pass_s(3)
    made.run.stop(CTRL_C)
    made.pass_s(1)
    assert isinstance(made.result.error, InternalError)
    assert "ValueError: of ours" in str(made.result.error)
    assert made.result.final.state is RunState.STOPPED
    assert made.kept.snapshots[-1].state is RunState.STOPPED
    assert "end(0)" in made.generator.calls, "the generator is ended whatever happens"


@pytest.mark.parametrize(
    ("event", "kind", "error"),
    [
        (StopRequested(StopReason(StopKind.LOST, "no worker is left")), "lost", None),
        (StopRequested(StopReason(StopKind.USER, "a user raised StopTest")), "user", None),
        (RunFailed(ObswarmError("No file data.csv.")), "error", "No file data.csv."),
        (PartFailed("The contact", OSError("x")), "error", "The contact failed (OSError: x), which ends"),
    ],
)
def test_what_a_generator_notes_ends_the_run_at_once(start: Start, event: Any, kind: str, error: str | None) -> None:
    made = start(Ramp(5, 10))
    made.pass_s(2)
    made.generator.note(event)
    made.pass_s(0)
    assert made.result.stop_reason.kind == kind
    assert str(made.result.error).startswith(str(error))


def test_an_error_that_a_generator_notes_while_users_end_is_the_runs(start: Start) -> None:
    made = start(Ramp(5, 10))
    made.generator.stopping = lambda timeout_s: made.generator.note(RunFailed(ObswarmError("late")))
    made.pass_s(2)
    made.run.stop(CTRL_C)
    made.pass_s(0)
    assert (made.result.stop_reason, str(made.result.error)) == (CTRL_C, "late")


@pytest.mark.parametrize("call", ["end(0)", "refresh"])
def test_an_error_of_the_generator_after_its_end_is_the_runs_error(start: Start, call: str) -> None:
    made = start(Ramp(5, 10))
    made.pass_s(2)
    made.generator.does[call] = lambda: made.generator.note(PartFailed("The contact", OSError("x")))
    made.run.stop(CTRL_C)
    made.pass_s(0)
    assert made.result.stop_reason == CTRL_C
    assert str(made.result.error).startswith("The contact failed (OSError: x), which ends")


def test_warnings_are_logged_and_restarts_are_annotated(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = start(Ramp(5, 10))
    made.pass_s(2)
    made.generator.note(GeneratorWarning("The worker w: few descriptors"))
    made.generator.note(PartRestarted("The contact", OSError("x")))
    made.pass_s(0)
    assert "The worker w: few descriptors." in caplog.text
    assert made.kept.kinds == ["start", "restart"]
    assert not made.has_ended


def test_workers_that_come_or_go_have_users_assigned_at_once(start: Start) -> None:
    made = start(Ramp(5, 1000))
    made.pass_s(2)
    before = made.generator.calls.count("apply")
    made.generator.happened.set()
    made.pass_s(0)
    assert made.generator.calls.count("apply") == before + 1


def test_a_run_without_users_left_ends_unless_its_plan_may_want_more(start: Start) -> None:
    made = start(StagesSchedule((Stage(1, 10), Stage(10, 10), Stage(1, 20), Stage(10, 20))))
    made.pass_s(5)
    made.generator.ended = 20
    made.pass_s(5)
    assert not made.has_ended, "ten more are to come"
    assert made.reason_after(4) == "user: every user has ended by itself"


def test_a_generator_that_has_not_followed_yet_has_not_lost_its_users(start: Start) -> None:
    made = start(Ramp(10, 1000))
    made.generator.settled = False
    made.generator.ended = 10
    made.pass_s(5)
    assert not made.has_ended
    made.generator.settled = True
    assert made.reason_after(1) == "user: every user has ended by itself"


def test_spawning_is_complete_once_the_generator_has_followed(start: Start) -> None:
    made = start(Ramp(10, 1000))
    made.generator.settled = False
    made.pass_s(3.5)
    assert made.events == ["test_start"]
    made.generator.settled = True
    made.pass_s(1)
    assert made.events == ["test_start", "spawning_complete"]
    made.pass_s(5)
    assert made.events.count("spawning_complete") == 1
    made.run.set_load(12, 1000)
    made.pass_s(1)
    assert made.events.count("spawning_complete") == 2


def test_statistics_are_reset_when_spawning_is_complete_and_outputs_have_had_the_rest(start: Start) -> None:
    made = start(Ramp(10, 1000), reset_stats=True, journal=True)
    made.generator.settled = False
    made.pass_s(1.5)
    made.requests(7)
    made.generator.settled = True
    made.pass_s(1)
    assert made.events[-2:] == ["spawning_complete", "reset_stats"]
    assert order_of(made.generator.calls, "spawning_complete", "reset", "statistics_reset") == [
        "spawning_complete",
        "reset",
        "statistics_reset",
    ]
    made.requests(2)
    made.run.stop(CTRL_C)
    made.pass_s(0)
    assert made.result.final.total.requests == 2
    assert sum(snapshot.interval_total.requests for snapshot in made.kept.snapshots) == 9


@pytest.mark.parametrize("hook", ["snapshot", "annotation"])
def test_an_output_that_fails_hurts_neither_the_run_nor_other_outputs(start: Start, hook: str) -> None:
    broken = Kept(breaks=hook)
    made = start(Ramp(5, 10), [broken])
    made.pass_s(3.5)
    made.requests(3)
    made.run.stop(CTRL_C)
    made.pass_s(0)
    assert made.result.error is None
    assert len(made.kept.snapshots) == 4
    assert made.kept.kinds == ["start", "stop"]
    (failed,) = made.run._outputs.complete(made.result).failed_outputs
    assert failed.reason == "No space left on device"


def test_of_several_errors_the_first_is_the_runs(start: Start) -> None:
    made = start(Ramp(5, 10))
    made.pass_s(1)
    made.run.fail(ObswarmError("first\nsecond line"))
    made.run.fail(ObswarmError("another"))
    made.pass_s(0)
    assert made.result.stop_reason == StopReason(StopKind.ERROR, "first")
    assert str(made.result.error) == "first\nsecond line"


def test_statistics_are_acknowledged_when_the_journal_has_them(start: Start) -> None:
    made = start(Ramp(5, 10), journal=True)
    made.pass_s(0.5)
    made.requests(3)
    made.pass_s(1)
    calls = order_of(made.generator.calls, "collect", "append", "rewrite", "acknowledge", "start")
    assert calls == ["collect", "append", "acknowledge", "start", "collect", "append", "acknowledge"]
    assert made.journal is not None
    assert [requests for requests, _ in made.journal.written] == [0, 3]
    assert made.journal.written[-1][1].placed == {"Visitor": 5}
    made.journal.is_due = True
    made.pass_s(1)
    assert order_of(made.generator.calls, "append", "rewrite", "acknowledge")[-3:] == [
        "append",
        "rewrite",
        "acknowledge",
    ]
    made.run.stop(CTRL_C)
    made.pass_s(0)
    assert order_of(made.generator.calls, "end(0)", "is_over") == ["end(0)", "is_over"]
    made.run.close()
    assert made.generator.calls[-2:] == ["close", "finish"]


def test_a_run_that_crashes_ends_its_users_and_keeps_its_journal(start: Start) -> None:
    made = start(Ramp(5, 10), journal=True)
    made.pass_s(2)
    made.requests(4)
    made.run.give_up()
    calls = made.generator.calls[-7:]
    assert calls == ["kill", "stop", "collect", "append", "acknowledge", "end(4)", "is_over", "close"][-7:]
    assert made.journal is not None
    assert made.journal.written[-2][0] == 4
    assert "finish" not in made.generator.calls
    made.run.stop(CTRL_C)
    made.pass_s(1)


def test_a_run_is_gone_on_with_where_an_earlier_process_left_it(start: Start) -> None:
    first = start(StagesSchedule((Stage(10, 100), Stage(20, 100))), journal=True)
    first.pass_s(5)
    first.requests(9)
    first.run.hold("guard a")
    first.pass_s(1)
    assert first.journal is not None
    held, progress = first.users, first.journal.written[-1][1]
    table = first.run.statistics.table
    first.run.stop(CTRL_C)
    first.pass_s(4)
    made = start(StagesSchedule((Stage(10, 100), Stage(20, 100))), journal=True, earlier=Earlier(progress, table))
    made.pass_s(1)
    assert made.users == held
    assert dict(made.run.in_force) == {"guard a": "hold"}
    assert made.kept.restored_with == ["start", "takeover"]
    assert made.kept.snapshots[0].total.requests == 9
    made.run.release("guard a")
    made.pass_s(2)
    assert made.users == pytest.approx(held + 20, abs=2)
    made.pass_s(30)
    assert made.result.stop_reason.kind is StopKind.TIME
