"""Granting iterations: as many end as are wanted, whatever dies, and whatever is split over processes."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obswarm.feeds import Call, FeedServer, Quota
from obswarm.feeds.calls import BEGIN, DO_NOT_BEGIN, GRANTED


@dataclass
class Process:
    """A process of a fleet: what it was granted, and what it has ended and not reported yet."""

    node: str
    number: int = 0
    stock: int = 0
    running: int = 0
    unreported: int = 0
    is_alive: bool = True
    dead_unreported: int = field(default=0)


class Fleet:
    """Processes, and a master with its statistics, of which a restart loses nothing that is in the journal."""

    def __init__(self, path: Path, total: int, count: int) -> None:
        self.path, self.total = path, total
        self.processes = [Process(f"w{number}") for number in range(count)]
        self.ended: Counter[tuple[str, str]] = Counter()
        self.gone: set[str] = set()
        self.restart()

    def restart(self) -> None:
        self.server = FeedServer([], self.path, "run", quotas={"all": self.total})
        self.server.note_ended(self.ended)

    def call(self, process: Process, kind: str, number: int, is_repeated: bool = False) -> list[object]:
        process.number += 1
        call = Call(process.node, process.number, kind, "all", 0, number)
        answer = self.server.call(call)
        if is_repeated:
            self.restart()
            assert self.server.call(call) == answer, "a repeated call has the same answer, also of a later master"
        return answer

    def take(self, process: Process, wanted: int, is_repeated: bool = False) -> int:
        kind, number = self.call(process, BEGIN, wanted, is_repeated)
        assert kind == GRANTED
        assert isinstance(number, int)
        assert 0 <= number <= max(1, wanted)
        process.stock += number
        return number

    def report(self, process: Process) -> None:
        self.ended["all", process.node] += process.unreported
        process.unreported = 0

    def collect(self) -> None:
        """The end of an interval: all reports of living processes, and what has come of dead ones."""
        for process in self.processes:
            if process.is_alive:
                self.report(process)
        for process in self.processes:
            if not process.is_alive and process.node not in self.gone:
                self.gone.add(process.node)
                self.server.gone(process.node)
        self.server.note_ended(self.ended)

    @property
    def done(self) -> int:
        return sum(self.ended.values())


STEPS = st.sampled_from(
    ["take", "take", "begin", "begin", "end", "end", "give back", "collect", "restart", "die", "late"]
)


@given(
    total=st.integers(1, 400),
    count=st.integers(1, 5),
    steps=st.lists(st.tuples(STEPS, st.integers(0, 4), st.integers(1, 60)), max_size=120),
)
@settings(deadline=None)
def test_exactly_as_many_iterations_end_as_are_wanted(
    tmp_path_factory: pytest.TempPathFactory, total: int, count: int, steps: list[tuple[str, int, int]]
) -> None:
    fleet = Fleet(tmp_path_factory.mktemp("quota") / "run.feeds", total, count)
    for step, which, number in steps:
        process = fleet.processes[which % count]
        if step == "collect":
            fleet.collect()
        elif step == "restart":
            fleet.restart()
        elif not process.is_alive:
            continue
        elif step == "take":
            fleet.take(process, number, is_repeated=number % 3 == 0)
        elif step == "begin":
            begun = min(number, process.stock)
            process.stock, process.running = process.stock - begun, process.running + begun
        elif step == "end":
            ended = min(number, process.running)
            process.running, process.unreported = process.running - ended, process.unreported + ended
        elif step == "give back":
            process.stock -= (back := min(number, process.stock))
            fleet.call(process, DO_NOT_BEGIN, back)
        elif sum(each.is_alive for each in fleet.processes) > 1:
            if step == "late":
                # Its last report has arrived, and is collected after its death is known.
                fleet.gone.add(process.node)
                fleet.server.gone(process.node)
                fleet.report(process)
            process.is_alive = False
        alive = [each for each in fleet.processes if each.is_alive]
        assert fleet.done + sum(each.stock + each.running + each.unreported for each in alive) <= total
    for _ in range(3 * total):
        fleet.collect()
        for process in fleet.processes:
            if process.is_alive:
                fleet.take(process, 7)
                process.unreported += process.stock + process.running
                process.stock = process.running = 0
    fleet.collect()
    assert fleet.done == total
    assert fleet.server.quotas["all"].is_done


def test_grants_become_small_towards_the_end() -> None:
    server = FeedServer([], quotas={"all": 1000})
    grants = []
    for number in range(1, 100):
        node = f"w{number % 2}"
        grants.append(server.call(Call(node, number, BEGIN, "all", 0, 300))[1])
    assert grants[:3] == [300, 175, 131]
    assert [grant for grant in grants if grant][-3:] == [1, 1, 1]
    assert sum(grants) == 1000
    assert grants[-1] == 0


def test_a_process_that_was_thought_to_be_dead_begins_anew() -> None:
    quota = Quota(100)
    quota.grant("w", *quota.next_grant("w", 40)[:2])
    quota.note_ended("w", 10)
    quota.leave("w")
    assert quota.available == 60, "its last statistics may be on their way"
    quota.settle()
    assert quota.available == 90
    has, number = quota.next_grant("w", 30)
    assert (has, number) == (10, 30)
    quota.grant("w", has, number)
    assert quota.available == 60
