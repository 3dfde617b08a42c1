"""How many workers a run waits for, and how long."""

import pytest

from obswarm.api import ObswarmError
from obswarm.cluster.master.expectation import Expectation, WaitForWorkers


def test_the_run_begins_when_enough_workers_are_ready() -> None:
    waiting = WaitForWorkers(Expectation(2), began_s=100.0)
    assert [waiting.is_over(ready, 100.0) for ready in (0, 1, 2, 3)] == [False, False, True, True]


def test_without_a_limit_it_waits_as_long_as_it_takes_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    waiting = WaitForWorkers(Expectation(2), began_s=100.0)
    assert not any(waiting.is_over(1, 100.0 + passed) for passed in range(100))
    assert [record.message for record in caplog.records] == ["1 of 2 workers are ready."] * 3


def test_too_few_workers_in_time_are_an_error() -> None:
    waiting = WaitForWorkers(Expectation(2, longest_s=10.0), began_s=100.0)
    assert not waiting.is_over(1, 110.0)
    with pytest.raises(ObswarmError, match=r"^1 of 2 workers were ready after 10s\.$"):
        waiting.is_over(1, 110.1)


def test_where_fewer_do_it_begins_with_those_that_are_ready(caplog: pytest.LogCaptureFixture) -> None:
    waiting = WaitForWorkers(Expectation(2, longest_s=10.0, fewer_do=True), began_s=100.0)
    assert waiting.is_over(1, 110.1)
    assert "1 of 2 workers are ready after 10s; the run begins." in caplog.text
    with pytest.raises(ObswarmError, match="0 of 2 workers"):
        waiting.is_over(0, 110.1)
