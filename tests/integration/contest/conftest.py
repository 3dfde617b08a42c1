"""One contest for all tests of it, with a Prometheus that sees its parts and the load generator's web port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.contest import Contest
from tests.support.nginx import free_port
from tests.support.prometheus import Prometheus


@pytest.fixture(scope="package")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    folder: Path = tmp_path_factory.mktemp("contest")
    with Contest(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def _whole_contest(contest: Contest) -> Iterator[None]:
    """A part that ends fails the test in which it does so, with its log; each test begins with all parts and without a
    fault, whatever became of the one before."""
    yield
    ended = contest.ended()
    if ended:
        contest.must("up")
    for fault in contest.state["faults"]:
        contest.must("fault", fault, "off")
    assert not ended, ended


@pytest.fixture(scope="package")
def web_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def prometheus(contest: Contest, web_port: int) -> Iterator[Prometheus]:
    with Prometheus(*contest.metrics, f"127.0.0.1:{web_port}") as running:
        yield running
