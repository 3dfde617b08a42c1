"""A master's run with workers that are made up: what it counts, and what reading its statistics does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from obswarm.api import Environment, User, task
from obswarm.api.events import Events
from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.journal import Journal
from obswarm.engine import Ramp, Run
from obswarm.stats import Recorder
from tests.support.made_up_worker import MadeUpWorker
from tests.support.runs import fleet_run

pytestmark = pytest.mark.usefixtures("no_network")


class Visitor(User):
    @task
    def nothing(self) -> None: ...


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Run, FleetGenerator]]:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
    journal = Journal(tmp_path / "state", "a-run", "", 0.0)
    run, generator = fleet_run(environment, Ramp(1, 1), journal, interval_s=0.0)
    run._begin()
    yield run, generator
    run.close()


def test_reading_the_statistics_neither_writes_nor_acknowledges(
    made: tuple[Run, FleetGenerator], tmp_path: Path
) -> None:
    run, generator = made
    worker = MadeUpWorker(generator, generator.listener)
    (member,) = generator.registry.workers.values()
    worker.report(requests=5)
    run._emit()
    worker.report(requests=3)
    file = tmp_path / "state"
    before = file.read_bytes()
    stats = run._environment.stats
    for _ in range(100):
        # As of the last interval: what came in since is in none yet.
        assert (stats.total.num_requests, stats.get("/", "GET").num_requests, stats.errors) == (5, 5, {})
    assert file.read_bytes() == before
    assert (member.acked, member.merged) == (1, 2)
    run._emit()
    assert stats.total.num_requests == 8
    assert run.last.interval_total.requests == 3
    assert member.acked == 2
    assert file.read_bytes() != before
