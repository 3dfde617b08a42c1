"""Rates of iterations from an executor to every worker: they arrive whole, whoever comes between."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import Environment, User, task
from obswarm.api.events import Events
from obswarm.cluster.master.balancer import distribute_rates
from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.journal import Journal, read
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.messages import Assign, Leaving, Stop, StopUsers, WorkerEvent
from obswarm.engine import Run, has_seeded_arrivals
from obswarm.stats import Recorder
from obswarm.stats.codec import OutOfBounds
from tests.cluster.test_relay import Machine, stubbed
from tests.support.fake_time import FakeTime
from tests.support.made_up_worker import MadeUpWorker
from tests.support.rates_executor import RatesExecutor
from tests.support.runs import fleet_run

RATE = 1_000 / 7


class Visitor(User):
    @task
    def nothing(self) -> None: ...


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, no_network: None) -> FakeTime:
    return stubbed(monkeypatch)


@pytest.fixture
def machine(time: FakeTime) -> Iterator[Machine]:
    """One with three processes."""
    made = Machine(time, processes=3)
    yield made
    made.close()


class Master:
    """A master whose executor assigns rates, and that is killed after one second."""

    def __init__(self, time: FakeTime, state: Path, executor: RatesExecutor) -> None:
        self.time = time
        environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
        recovered = read(state, 100)
        self.journal = Journal(state, "a-run", "", 0.0)
        self.run: Run
        self.generator: FleetGenerator
        self.run, self.generator = fleet_run(environment, executor, self.journal, recovered)
        self.run._begin()

    def worker(self, name: str, capacity: float) -> MadeUpWorker:
        made = MadeUpWorker(self.generator, self.generator.listener, name, joins=False)
        made.incarnation = name
        made.join(capacity=capacity)
        return made

    def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            assert self.run._drive_once(self.time.now) is not None
            self.time.advance(0.05)

    def kill(self) -> None:
        self.run._emit()
        self.journal.close()
        self.generator._keeper.kill()


def rates_of(workers: Sequence[MadeUpWorker]) -> list[float]:
    """What each was told last."""
    return [worker.got(Assign)[-1].rates.get("Visitor", 0.0) for worker in workers]


def test_rates_arrive_whole_at_every_worker_also_from_the_journal_and_through_a_relay(
    time: FakeTime, machine: Machine, tmp_path: Path
) -> None:
    processes = machine.join([100.0, 50.0, 50.0])
    masters = [Master(time, tmp_path / "state", RatesExecutor({"Visitor": RATE}))]
    try:
        reported_before = 0
        for nth in range(2):
            single, relay = masters[-1].worker("single", 100.0), masters[-1].worker("relay", 200.0)
            masters[-1].pass_s(1)
            (assign,) = relay.got(Assign)
            machine.deliver(assign)
            reported = [worker.got(Assign)[-1] for worker in processes]
            assert len(processes[0].got(Assign)) > reported_before
            reported_before = len(processes[0].got(Assign))
            assert math.fsum(rates_of([single, *processes])) == RATE
            assert sum(rates_of([single, relay])) == RATE
            assert sum(rates_of(processes)) == assign.rates["Visitor"]
            assert rates_of([single, *processes]) == pytest.approx([RATE / 3, RATE / 3, RATE / 6, RATE / 6], rel=1e-12)
            assert not any(any(each.users.values()) for each in reported)
            if nth == 0:
                masters[-1].kill()
                found = read(tmp_path / "state", 100)
                assert found is not None
                assert found.progress.rates == {"Visitor": RATE}
                # Its own plan has nothing: what it assigns is what the journal has.
                masters.append(Master(time, tmp_path / "state", RatesExecutor({})))
                # Told anew, so that the processes are told something else in between.
                machine.deliver(Assign(2, {}, 1.0, {"Visitor": 1.0}))
                assert sum(rates_of(processes)) == 1.0
                reported_before = len(processes[0].got(Assign))
    finally:
        masters[-1].run.close()


def test_every_process_has_the_same_part_of_a_seeded_rate_whatever_its_capacity(
    time: FakeTime, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the process of each index starts its iterations at the same times in every run."""
    monkeypatch.setattr(Visitor, "_arrivals", ("poisson", 7))
    processes = machine.join([100.0, 50.0, 30.0])
    master = Master(time, tmp_path / "state", RatesExecutor({"Visitor": RATE}))
    single = master.worker("single", 1000.0)
    relay = MadeUpWorker(master.generator, master.generator.listener, "relay", joins=False)
    relay.incarnation = "relay"
    relay.join(processes=3, capacity=180.0)
    master.pass_s(1)
    machine.deliver(relay.got(Assign)[-1])
    assert rates_of([single, *processes]) == pytest.approx([RATE / 4] * 4, rel=1e-12)
    monkeypatch.setattr(Visitor, "_arrivals", ("poisson", None))
    assert not has_seeded_arrivals(Visitor)
    master.run.close()


def test_another_rate_is_told_and_the_same_one_is_not_told_again(time: FakeTime, tmp_path: Path) -> None:
    executor = RatesExecutor({"Visitor": RATE})
    master = Master(time, tmp_path / "state", executor)
    workers = [master.worker(name, 100.0) for name in "abc"]
    master.pass_s(1)
    assert [len(worker.got(Assign)) for worker in workers] == [1, 1, 1]
    executor.rates = {"Visitor": RATE / 3}
    master.pass_s(1)
    assert [len(worker.got(Assign)) for worker in workers] == [2, 2, 2]
    assert sum(rates_of(workers)) == RATE / 3
    master.run.close()


def test_the_rate_of_a_worker_that_leaves_goes_to_the_others_and_what_comes_gets_its_part(
    time: FakeTime, tmp_path: Path
) -> None:
    master = Master(time, tmp_path / "state", RatesExecutor({"Visitor": RATE}))
    stays, leaves = (master.worker(name, 100.0) for name in "ab")
    master.pass_s(0.5)
    leaves.echo(Leaving("enough"))
    master.pass_s(0.5)
    assert rates_of([stays]) == [RATE]
    comes = master.worker("c", 300.0)
    master.pass_s(0.5)
    assert sum(rates_of([stays, comes])) == RATE
    assert rates_of([comes]) == pytest.approx([RATE * 0.75])
    master.run.close()


def test_users_that_keep_a_rate_are_none_that_have_ended(time: FakeTime, tmp_path: Path) -> None:
    master = Master(time, tmp_path / "state", RatesExecutor({"Visitor": RATE}))
    worker = master.worker("a", 100.0)
    master.pass_s(0.5)
    worker.report(users={"Visitor": 12}, settled=worker.got(Assign)[-1].number)
    assert (master.generator.has_settled(), master.generator.users_ended()) == (True, 0)
    assert master.generator.user_counts() == {"Visitor": 12}
    master.run.close()


@given(
    wanted=st.dictionaries(st.sampled_from("ABC"), st.floats(0, 1e9)),
    weights=st.dictionaries(st.integers(0, 50).map("w{}".format), st.floats(0.01, 1000), min_size=1, max_size=20),
)
def test_the_rates_of_all_workers_sum_up_to_those_of_the_classes(
    wanted: dict[str, float], weights: dict[str, float]
) -> None:
    divided, limits = distribute_rates(wanted, weights)
    assert limits == {worker: {} for worker in weights}
    assert divided.keys() == weights.keys()
    for name, rate in wanted.items():
        assert sum(rates[name] for rates in divided.values()) == rate


def test_no_rate_is_assigned_without_workers() -> None:
    assert distribute_rates({"A": 1.0}, {}) == ({}, {})
    assert distribute_rates({"A": 1.0}, {"w": 0.0}) == ({"w": {}}, {"w": {}})


@given(
    rate=st.floats(0, 1e9),
    most=st.integers(1, 1_000),
    weights=st.dictionaries(st.integers(0, 50).map("w{}".format), st.floats(0.01, 1000), min_size=1, max_size=20),
)
def test_the_maximum_of_users_is_divided_with_the_rate(rate: float, most: int, weights: dict[str, float]) -> None:
    """Nothing is lost, and a worker that may have no users has no iterations either, which it could only drop."""
    rates, limits = distribute_rates({"A": rate}, weights, {"A": most})
    assert sum(each["A"] for each in limits.values()) == most
    assert sum(each["A"] for each in rates.values()) == rate
    assert all(limits[worker]["A"] or not rates[worker]["A"] for worker in weights)
    # Once more with what they have now: no message is needed.
    assert distribute_rates({"A": rate}, weights, {"A": most}, limits) == (rates, limits)


@pytest.mark.parametrize(
    ("assign", "reason"),
    [
        (Assign(1, {}, 1.0, {"Visitor": 1.0, "Nobody": 1.0}), "it has a rate of the class Nobody, which is not in the"),
        (Assign(1, {"Visitor": 2}, 1.0, {"Visitor": 1.0}), "the class Visitor has both"),
        (Assign(1, {}, 1.0, {"Visitor": float("nan")}), "the class Visitor has a rate of nan"),
        (Assign(1, {}, 1.0, {"Visitor": -1.0}), "the class Visitor has a rate of -1"),
    ],
)
def test_an_assignment_that_cannot_be_carried_out_is_refused(assign: Assign, reason: str) -> None:
    with pytest.raises(OutOfBounds, match=reason):
        RunBounds.of(100, ["Visitor", "Buyer"]).checked_assignment(assign, 0.0)


def test_a_relay_tells_its_master_what_it_refuses_and_goes_on_with_what_it_had(machine: Machine) -> None:
    processes = machine.join()
    machine.deliver(Assign(1, {}, 1.0, {"Visitor": RATE}))
    machine.deliver(Assign(2, {}, 1.0, {"Nobody": RATE}))
    (event,) = machine.sent(WorkerEvent)
    assert event.kind == "error"
    assert "The worker machine refuses its assignment: it has a rate of the class Nobody" in event.detail
    assert [len(worker.got(Assign)) for worker in processes] == [1, 1, 1]
    assert sum(rates_of(processes)) == RATE


def test_the_rate_of_a_process_that_ends_goes_to_the_others_of_its_machine(machine: Machine) -> None:
    processes = machine.join()
    machine.deliver(Assign(1, {}, 1.0, {"Visitor": RATE}))
    machine.processes.die(processes[0].incarnation, -9)
    machine.time.advance(1)
    assert sum(rates_of(processes[1:])) == RATE


@pytest.mark.parametrize("ends", ["stop", "orphaned"])
def test_a_relay_whose_users_end_has_no_rate_any_more(machine: Machine, ends: str) -> None:
    processes = machine.join()
    machine.deliver(Assign(1, {}, 1.0, {"Visitor": RATE}))
    if ends == "stop":
        machine.deliver(Stop(1.0))
    else:
        machine.time.advance(9)
    assert all(worker.got(Stop if ends == "stop" else StopUsers) for worker in processes)
    reported = sum(len(worker.got(Assign)) for worker in processes)
    machine.processes.die(processes[0].incarnation, -9)
    machine.time.advance(1)
    assert sum(len(worker.got(Assign)) for worker in processes) == reported, "the others get nothing of it"
    if ends == "orphaned":
        assert rates_of(processes) == [0.0, 0.0, 0.0]
