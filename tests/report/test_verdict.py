"""The verdict of a report names what saturated first, if anything did."""

from obswarm.report.page.verdict import verdict
from obswarm.report.run_wording import generator_sentence
from tests.support import incidents
from tests.support.incidents import Incident


def test_the_verdict_of_a_run_that_broke_names_what_saturated_first() -> None:
    lines = verdict(Incident(incidents.database_lock).record()).lines
    (line,) = [each for each in lines if each.text.startswith("MySQL (db) saturated first, at 120 users: ")]
    assert line.tone == "bad"


def test_the_verdict_of_a_healthy_run_does_not() -> None:
    lines = verdict(Incident(incidents.healthy).record()).lines
    assert not any("saturated first" in each.text for each in lines)


def test_a_generator_that_was_not_measured_is_not_said_to_be_fast_enough() -> None:
    assert generator_sentence(False, 0.0, 0.0) == "Whether the load generator was the bottleneck was not measured."
    assert generator_sentence(False, 0.01, 0.0).startswith("The load generator was not the bottleneck (CPU up to 1%")
    assert "up to –" in generator_sentence(False, None, None)
