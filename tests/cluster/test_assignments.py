"""Users keep to the spawn rate whatever happens to workers: a fleet on a clock of the test's own."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import User, task
from obswarm.cluster.master.assignments import Assignments
from obswarm.cluster.master.balancer import Balance, distribute
from obswarm.cluster.master.worker_state import WorkerState, new_worker_state
from obswarm.cluster.wire.messages import PROTOCOL_VERSION, Assign, Hello
from obswarm.engine import Assignment, ClosedExecutor, Ramp, UserScaler

STEP_S = 0.1


def member(number: int, capacity: float = 100.0, users: dict[str, int] | None = None) -> WorkerState:
    hello = Hello(PROTOCOL_VERSION, "1", f"w{number}", f"w{number}", 1, "", "")
    made = new_worker_state(hello, number, 0, 0.0)
    made.capacity, made.users = capacity, users or {}
    return made


def most_in_a_second(times: list[float]) -> int:
    """Of times in their order, in any window of one second, open at its end."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= 1 - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


class GivenOut:
    """What is given out to workers that do at once what they are told."""

    def __init__(self) -> None:
        self.assignments = Assignments(Balance(by_capacity=True))
        self.ready: dict[str, WorkerState] = {}
        self.now = 100.0
        self.times: list[float] = []
        self.wanted: dict[str, int] = {}
        self.rate = 10.0

    def step(self) -> None:
        before = {key: dict(each.assigned or each.users) for key, each in self.ready.items()}
        wanted = Assignment(self.wanted, self.rate)
        for each, message in self.assignments.assign(list(self.ready.values()), wanted, self.now):
            has = before[each.incarnation]
            starts = sum(max(0, number - has.get(name, 0)) for name, number in message.users.items())
            self.times += [self.now] * starts
            each.users = dict(message.users)
        reported = sum(each.rate for each in self.ready.values() if each.assign_number)
        assert reported <= self.rate * 1.3, "the rates of all are together that of the run"
        self.now += STEP_S

    def until_settled(self) -> None:
        for _ in range(10_000):
            self.step()
            if not self.assignments.pending:
                return
        raise AssertionError("users never get to where they should be")

    @property
    def users(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for each in self.ready.values():
            for name, number in each.assigned.items():
                totals[name] = totals.get(name, 0) + number
        return totals


events = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(1, 4)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("want"), st.integers(0, 80)),
        st.tuples(st.just("back"), st.integers(0, 40)),
        st.tuples(st.just("slow"), st.integers(0, 5)),
        st.tuples(st.just("time"), st.integers(1, 30)),
    ),
    max_size=12,
)


@given(events=events, rate=st.sampled_from([0.5, 1.0, 2.5, 7.0, 15.0, 60.0, 500.0]))
def test_no_second_has_more_starts_than_the_rate_whatever_happens_to_workers(events, rate: float) -> None:
    fleet = GivenOut()
    fleet.rate = rate
    fleet.wanted = {"A": 20, "B": 7}
    fleet.ready = {"w0": member(0)}
    for number, (what, argument) in enumerate(events, 1):
        known = sorted(fleet.ready)
        if what == "join":
            fleet.ready[f"w{number}"] = member(number, 100.0 * argument)
        elif what == "leave" and known:
            del fleet.ready[known[argument % len(known)]]
        elif what == "want":
            fleet.wanted = {"A": argument, "B": argument // 3}
        elif what == "back":
            # One that was missing, and still has users.
            fleet.ready[f"w{number}"] = member(number, users={"A": argument, "B": 1})
        elif what == "slow" and known:
            fleet.ready[known[argument % len(known)]].capacity /= 3
        elif what == "time":
            for _ in range(argument):
                fleet.step()
        fleet.step()
    if not fleet.ready:
        fleet.ready["w99"] = member(99)
    fleet.until_settled()
    assert most_in_a_second(fleet.times) <= math.ceil(rate)
    assert fleet.users == fleet.wanted
    weights = {key: each.capacity for key, each in fleet.ready.items()}
    goal = distribute(fleet.wanted, weights, {key: each.assigned for key, each in fleet.ready.items()})
    assert {key: each.assigned for key, each in fleet.ready.items()} == goal


def test_users_that_move_leave_one_worker_as_they_start_at_the_other() -> None:
    fleet = GivenOut()
    fleet.rate = 15.0
    fleet.wanted = {"A": 60}
    fleet.ready = {"w0": member(0)}
    fleet.until_settled()
    fleet.times.clear()
    fleet.ready["w1"] = member(1)
    began = fleet.now
    while fleet.assignments.pending or not fleet.times:
        fleet.step()
        assert fleet.users == {"A": 60}
    assert len(fleet.times) == 30
    assert most_in_a_second(fleet.times) <= 14, "some room is left for messages that take longer"
    assert 1.8 < fleet.now - began < 3


def test_users_of_a_worker_that_died_during_the_ramp_come_back_within_the_rate() -> None:
    fleet = GivenOut()
    fleet.rate = 10.0
    fleet.ready = {f"w{number}": member(number) for number in range(3)}
    for users in range(1, 61):
        fleet.wanted = {"A": users}
        fleet.step()
        if users == 30:
            del fleet.ready["w1"]
    fleet.until_settled()
    assert fleet.users == {"A": 60}
    assert most_in_a_second(fleet.times) <= 10


def test_when_the_rate_changes_each_start_counts_with_its_own() -> None:
    fleet = GivenOut()
    fleet.rate = 100.0
    fleet.wanted = {"A": 100}
    fleet.ready = {"w0": member(0)}
    fleet.until_settled()
    fleet.rate = 10.0
    fleet.wanted = {"A": 130}
    changed = fleet.now
    fleet.until_settled()
    later = [time for time in fleet.times if time >= changed]
    assert len(later) == 30
    assert most_in_a_second(later) <= 10
    assert 2.5 < fleet.now - changed < 4.5


class A(User):
    weight = 3

    @task
    def nothing(self) -> None: ...


class B(A):
    weight = 1


class Simulation:
    """An executor, assignments and followers in steps of 10 ms; messages take up to `delay_s`, and a worker may be blocked."""

    def __init__(self, users: int, rate: float, delay_s: float, seed: int) -> None:
        self.now = 0.0
        self.times: list[float] = []
        self.chance = random.Random(seed)
        self.delay_s = delay_s
        self.executor = ClosedExecutor(Ramp(users, rate), [A, B])
        self.executor.start(0.0, burst_s=0.4)
        self.rate = rate
        self.assignments = Assignments(Balance(by_capacity=True))
        self.workers: dict[str, tuple[WorkerState, UserScaler]] = {}
        self.under_way: list[tuple[float, str, Assign]] = []
        self.blocked_until: dict[str, float] = {}

    def join(self, number: int) -> None:
        made = member(number)
        self.workers[made.incarnation] = (made, UserScaler(["A", "B"]))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            if round(self.now * 100) % 10 == 0:
                self.executor.step(self.now)
                ready = [made for made, _ in self.workers.values()]
                wanted = Assignment(self.executor.assigned, self.rate)
                for made, message in self.assignments.assign(ready, wanted, self.now):
                    arrives = self.now + self.chance.random() * self.delay_s
                    self.under_way.append((arrives, made.incarnation, message))
            for message in sorted(self.under_way, key=lambda each: each[2].number):
                arrives, name, assign = message
                if arrives <= self.now:
                    self.under_way.remove(message)
                    if name in self.workers and assign.number >= self.workers[name][1]._number:
                        wanted = Assignment(assign.users, assign.spawn_rate)
                        self.workers[name][1].assign(assign.number, wanted, self.now)
            for name, (_, follower) in self.workers.items():
                if self.now >= self.blocked_until.get(name, 0):
                    before = dict(follower.assigned)
                    after = follower.step(self.now).users
                    started = sum(max(0, users - before[name]) for name, users in after.items())
                    self.times += [self.now] * started

    @property
    def users(self) -> int:
        return sum(sum(follower.assigned.values()) for _, follower in self.workers.values())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("users", "rate"), [(60, 15.0), (200, 40.0)])
def test_what_workers_start_keeps_to_the_rate_when_they_join_die_and_are_blocked(users, rate, seed: int) -> None:
    fleet = Simulation(users, rate, 0.03, seed)
    fleet.join(0)
    fleet.run(users / rate + 2)
    assert fleet.users == users
    # Messages of a ramp at the full rate come now a little earlier, now a little later.
    assert most_in_a_second(fleet.times) <= rate + math.ceil(rate * 0.03) + 1
    fleet.times.clear()
    fleet.join(1)
    fleet.run(users / rate + 2)
    assert [sum(follower.assigned.values()) for _, follower in fleet.workers.values()] == [users / 2, users / 2]
    assert most_in_a_second(fleet.times) <= rate
    fleet.times.clear()
    fleet.join(2)
    fleet.blocked_until["w2"] = fleet.now + 2
    fleet.run(users / rate + 3)
    assert most_in_a_second(fleet.times) <= rate
    fleet.times.clear()
    del fleet.workers["w0"]
    fleet.run(users / rate + 2)
    assert fleet.users == users
    assert most_in_a_second(fleet.times) <= rate
