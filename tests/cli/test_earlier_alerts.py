"""Holding back a start, with a clock of the test's own."""

import logging

import pytest

from obswarm.app.earlier_alerts import ARRIVAL_S, wait_for_earlier_alerts
from obswarm.engine import StopReason
from obswarm.guards import GuardEvaluator, parse_action, parse_payload
from tests.guards.test_alerts import ALERTMANAGER, STARTED_S, at, payload


class Start:
    """A run that is about to begin; `deliveries` are bodies by the second at which they come."""

    def __init__(self, **deliveries: bytes) -> None:
        self.now = 0.0
        self.stopped: StopReason | None = None
        self.interrupted_at_s = 1e9
        self.evaluator = GuardEvaluator([], None, parse_action("stop"), wall=lambda: STARTED_S + self.now)
        self._deliveries = {float(name.removeprefix("at")): body for name, body in deliveries.items()}

    def stop(self, reason: StopReason) -> None:
        self.stopped = reason

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in [each for each in self._deliveries if each <= self.now]:
            self.evaluator.deliver(parse_payload(self._deliveries.pop(due)))

    def wait(self, longest_s: float = 300) -> float:
        """How long it waited."""
        wait_for_earlier_alerts(
            self.evaluator,
            self,
            longest_s,
            lambda: self.now >= self.interrupted_at_s,
            monotonic=lambda: self.now,
            sleep=self._sleep,
        )
        return self.now


FIRING = payload(ALERTMANAGER, **at(-60))
RESOLVED = payload(ALERTMANAGER, **at(-60), status="resolved")


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_without_alerts_it_waits_until_they_would_have_been_delivered() -> None:
    start = Start()
    assert start.wait() == pytest.approx(ARRIVAL_S, abs=0.2)
    assert start.stopped is None


def test_a_run_begins_once_the_alert_is_resolved_with_the_reason_for_the_wait(heard: pytest.LogCaptureFixture) -> None:
    start = Start(at2=FIRING, at3=FIRING, at40=RESOLVED)
    assert start.wait() == pytest.approx(40, abs=0.2)
    assert start.stopped is None
    told = [record.getMessage() for record in heard.records if record.name == "obswarm.app.earlier_alerts"]
    assert told == [
        "Waiting 5s for alerts that are already firing.",
        "The alert TooManyErrors fires since 2026-01-09T23:05:40.000Z (errors); the start of the run is delayed until"
        " it is resolved, for 5m at most.",
        "No alert from before the run is firing any more; starting after 40s.",
    ]


def test_a_run_does_not_begin_if_the_alert_lasts_too_long() -> None:
    start = Start(at2=FIRING)
    assert start.wait(60) == pytest.approx(60, abs=0.2)
    assert start.stopped == StopReason(
        "alert", "The run was not started: TooManyErrors fired before it and was not resolved within 1m"
    )


def test_a_signal_ends_the_wait() -> None:
    start = Start(at2=FIRING)
    start.interrupted_at_s = 7
    assert start.wait() == pytest.approx(7, abs=0.2)
    assert start.stopped is None


@pytest.mark.parametrize("labels", [{"obswarm_action": "notify"}, {"run_id": "20260109-230602-beef"}])
def test_what_only_notifies_or_is_about_another_run_holds_nothing_back(labels: dict[str, str]) -> None:
    start = Start(at2=payload(ALERTMANAGER, **at(-60, **labels)))
    assert start.wait() == pytest.approx(ARRIVAL_S, abs=0.2)
