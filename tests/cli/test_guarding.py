import logging
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.cli.guarding import simple_guarding
from obswarm.guards import Guard


def run_of(planned_s: float | None) -> Any:
    return SimpleNamespace(watch=None, run_id="r", annotate=None, statistics=SimpleNamespace(planned_s=planned_s))


@pytest.mark.parametrize(("planned_s", "is_warned_of"), [(60.0, True), (59.0, True), (61.0, False), (None, False)])
def test_a_guard_that_needs_more_time_than_the_run_has_is_warned_of(caplog, planned_s, is_warned_of: bool) -> None:
    guarding = simple_guarding([Guard("error_ratio > 5% for 1m"), Guard("p95 > 1s")])
    with caplog.at_level(logging.WARNING):
        guarding.attach(run_of(planned_s))
    expected = "The guard error_ratio > 5% for 1m cannot trip: its condition has to hold for 1m, and the run takes"
    assert [text for text in caplog.messages if text.startswith(expected)] == caplog.messages
    assert len(caplog.messages) == is_warned_of
