"""A load that was held, scaled or set, and what the master that takes the run up makes of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from obswarm.api import Environment, LoadTestShape, Stage, User, task
from obswarm.api.events import Events
from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.journal import Journal, read
from obswarm.cluster.master.worker_state import new_worker_state
from obswarm.cluster.wire.messages import Heartbeat, Hello
from obswarm.engine import Output, Outputs, Run, ShapeSchedule, StagesSchedule, StopReason
from obswarm.engine.schedule import begin_shape
from obswarm.record import Annotation, Snapshot, StopKind, WorkerStatus
from obswarm.stats import Recorder
from tests.support.fake_time import FakeTime
from tests.support.made_up_worker import MadeUpWorker
from tests.support.runs import fleet_run


class Often(User):
    @task
    def nothing(self) -> None: ...


class Seldom(Often):
    pass


class OnlySeldom(LoadTestShape):
    def tick(self):
        return (20, 10, [Seldom]) if self.get_run_time() < 30 else None


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, no_network: None) -> FakeTime:
    return FakeTime(monkeypatch)


class Masters:
    """One after the other, of the same run, without workers."""

    def __init__(self, time: FakeTime, folder: Path, plan: str) -> None:
        self.time, self.plan, self.state = time, plan, folder / "state"
        self.run: Run | None = None
        self.generator: FleetGenerator | None = None
        self.journal: Journal | None = None
        self.began_s = time.now
        self.next()

    def next(self, away_s: float = 0.0) -> Run:
        """The one before is killed, and `away_s` later there is another one."""
        if self.run is not None:
            self.run._emit()
            self.journal.close()
            self.generator._keeper.kill()
            self.time.advance(away_s)
        shape = OnlySeldom() if self.plan == "shape" else None
        schedule = (
            StagesSchedule((Stage(10, 100), Stage(20, 100))) if shape is None else ShapeSchedule(shape, [Often, Seldom])
        )
        environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Often, Seldom], shape_class=shape)
        recovered = read(self.state, 100)
        self.journal = Journal(self.state, "a-run", "", 0.0)
        self.run, self.generator = fleet_run(environment, schedule, self.journal, recovered)
        begin_shape(environment)
        self.run._begin()
        return self.run

    def seconds(self, number: float) -> list[int]:
        """Users at the end of each."""
        assert self.run is not None
        users = []
        for step in range(1, round(number * 20) + 1):
            if self.run._drive_once(self.time.now) is None:
                return users
            self.time.advance(0.05)
            if step % 20 == 0:
                users.append(self.run._driver.executor.assigned_users)
        return users

    @property
    def ended_s(self) -> float:
        self.seconds(100)
        assert self.run is not None
        assert self.run._stopping.is_set()
        return self.time.now - self.began_s


@pytest.fixture(params=["stages", "shape"])
def masters(time: FakeTime, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Masters]:
    made = Masters(time, tmp_path, request.param)
    yield made
    assert made.run is not None
    made.run.close()


def test_a_scaled_load_stays_scaled_and_its_cause_scales_no_second_time(masters: Masters) -> None:
    left = masters.seconds(1)[-1] // 2
    masters.run.scale(0.5, "guard it")
    assert masters.seconds(2)[-1] == left
    run = masters.next(away_s=4)
    assert masters.seconds(2) == [left, left]
    assert run._driver.executor.assigned["Often"] == (0 if masters.plan == "shape" else left // 2)
    run.scale(0.5, "guard it")
    assert masters.seconds(2) == [left, left]
    run.release("guard it")
    run.scale(0.5, "guard it")
    assert masters.seconds(2)[-1] == left // 2
    assert masters.ended_s == pytest.approx(30, abs=0.1)


def test_a_held_load_is_held_until_its_holder_releases_it(masters: Masters) -> None:
    masters.seconds(1)
    masters.run.hold("guard it")
    masters.run.hold("alert f")
    held = masters.seconds(1)[-1]
    assert held == pytest.approx(10, abs=1)
    run = masters.next(away_s=4)
    assert sum(run.user_targets().values()) == held
    assert masters.seconds(2) == [held, held]
    run.release("alert f")
    assert masters.seconds(2) == [held, held]
    run.release("guard it")
    assert masters.seconds(1)[-1] == pytest.approx(20, abs=1)
    held_s = 9 if masters.plan == "stages" else 0
    assert masters.ended_s == pytest.approx(30 + held_s, abs=0.1)


def test_a_load_that_stays_held_ends_with_the_planned_time(masters: Masters) -> None:
    masters.seconds(1)
    masters.run.hold("guard it")
    masters.next(away_s=4)
    masters.seconds(3)
    masters.next(away_s=4)
    assert masters.ended_s == pytest.approx(30, abs=0.1)


def test_a_load_that_was_set_is_followed_until_the_planned_time_and_no_hold_ends_by_it(masters: Masters) -> None:
    masters.seconds(1)
    masters.run.hold("guard it")
    masters.run.set_load(14, 4)
    assert masters.seconds(1)[-1] == pytest.approx(10, abs=1)
    masters.run.release("guard it")
    masters.seconds(0.5)
    masters.next()
    assert masters.seconds(2)[-1] == 14
    assert masters.ended_s == pytest.approx(30, abs=0.1)


def assigned(run: Run) -> int:
    return run._driver.executor.assigned_users


def test_a_scale_takes_its_share_of_the_users_that_there_are_and_none_is_started_any_more(masters: Masters) -> None:
    """A master has assigned those that its plan has by now, and workers start them at the spawn rate."""
    run = masters.run
    worker = MadeUpWorker(masters.generator, masters.generator.listener)
    masters.seconds(0.5)
    there = assigned(run) - 2
    worker.report(users={"Often": there}, settled=0)
    run.scale(0.5, "guard it")
    assert assigned(run) == there
    assert masters.seconds(3)[-1] == there // 2


def test_a_scale_knows_who_has_ended_also_while_others_are_started(masters: Masters) -> None:
    run = masters.run
    worker = MadeUpWorker(masters.generator, masters.generator.listener)
    masters.seconds(0.5)
    worker.report(users={"Often": assigned(run) - 1}, settled=1000)
    assert (masters.generator.users_ended(), masters.generator.users_not_started(masters.time.now)) == (1, 0)
    run = masters.next()
    same = MadeUpWorker(masters.generator, masters.generator.listener, joins=False)
    same.incarnation = worker.incarnation
    same.join()
    run._drive_once(masters.time.now)
    same.report(users={"Often": assigned(run) - 3}, settled=0)
    assert (masters.generator.users_ended(), masters.generator.users_not_started(masters.time.now)) == (1, 2)


class Kept(Output):
    def __init__(self) -> None:
        self.restored_with: list[tuple[Snapshot, list[str]]] = []
        self.marks: list[str] = []

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        self.restored_with.append((snapshot, [mark.kind for mark in annotations]))

    def annotation(self, annotation: Annotation) -> None:
        self.marks.append(annotation.kind)


def counted(run: Run, number: int) -> None:
    for _ in range(number):
        run._environment.recorder.record("GET", "/", 0.01, 100, 200)


def test_the_first_interval_of_a_run_that_is_taken_up_has_the_time_that_nobody_was_there(masters: Masters) -> None:
    counted(masters.run, 100)
    masters.seconds(1)
    run = masters.next(away_s=4)
    counted(run, 500)
    masters.seconds(1)
    run._emit()
    assert run.last.interval_total.requests == 500
    assert run.last.interval_s == pytest.approx(5)
    assert run.last.total.requests == 600
    counted(run, 100)
    masters.seconds(1)
    run._emit()
    assert run.last.interval_s == pytest.approx(1)


def test_a_new_master_asks_the_workers_it_has_met_again_while_it_waits_for_others(
    masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that dies while another is missing loses no more than at other times."""
    monkeypatch.setattr("obswarm.cluster.master.heartbeats._TAKEOVER_S", 0.06)
    workers = [MadeUpWorker(masters.generator, masters.generator.listener, name) for name in ("present", "silent")]
    masters.seconds(1)
    masters.next(away_s=4)
    present = MadeUpWorker(masters.generator, masters.generator.listener, joins=False)
    present.incarnation = workers[0].incarnation
    present.join()
    masters.run._emit()
    requested = [beat.number for beat in present.got(Heartbeat) if beat.collect]
    assert len(requested) >= 6
    assert requested == sorted(set(requested))


def ended_at_once(run: Run) -> None:
    """All of it, without workers. It has begun."""
    run._begin = lambda: None
    run.stop(StopReason(StopKind.USER, "that is enough"))
    run.run()


@pytest.mark.parametrize("has_start", [True, False])
def test_a_run_that_is_taken_up_has_started_once(masters: Masters, has_start: bool) -> None:
    """Its first master may have been killed before the mark was in its file."""
    if has_start:
        masters.run.annotate("start", "It starts")
    counted(masters.run, 7)
    masters.seconds(1)
    masters.next(away_s=4)
    stored = Kept()
    masters.run._outputs = masters.run._emitter._outputs = Outputs([stored])
    ended_at_once(masters.run)
    ((snapshot, marks),) = stored.restored_with
    assert marks == ["start", "takeover"]
    assert snapshot.total.requests == 7
    assert stored.marks == ["takeover", "stop"]
    assert [each.kind for each in masters.run.annotations] == ["start", "takeover", "stop"]
    assert masters.run.annotations[0].time_s == pytest.approx(masters.run.statistics.started_wall_s, abs=0.1)


def test_a_master_that_is_killed_after_its_last_statistics_leaves_a_run_that_is_over(masters: Masters) -> None:
    """The next one reports it as it was: no time is added, and no worker is lost."""
    masters.seconds(3)
    worker = new_worker_state(Hello(1, "1", "incarnation", "w", 1, "", ""), 0, 0, masters.time.now)
    worker.state, worker.ended = WorkerStatus.READY, True
    masters.run.generator.registry.workers["incarnation"] = worker
    masters.run.stop(StopReason(StopKind.TIME, "it is over"))
    masters.run.statistics.end(masters.time.now)
    masters.run._emitter.write_end()
    # Statistics of listeners may be added later, and each record has the state of the workers.
    masters.run._emitter.collect()
    masters.run._emitter._journal.rewrite(masters.run.statistics.table, masters.run._emitter._progress())
    before = masters.run.statistics.elapsed_s(masters.time.now)
    run = masters.next(away_s=11)
    restored = run.generator.registry.workers["incarnation"]
    assert restored.state is WorkerStatus.GONE
    run.generator._losses.note_unfinished([restored], masters.time.now, 60.0)
    assert run.generator.totals().losses == ()
    run.statistics.end(masters.time.now)
    assert run.statistics.elapsed_s(masters.time.now) == pytest.approx(before)
