"""What a run says of targets of which there was nothing to measure."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from obswarm import clock
from obswarm.targets import EmbeddedSource, Target, TargetCoverage, TargetHealth

TARGET = Target("db", "http://127.0.0.1:1/metrics", "mysql")
UP = TargetHealth(TARGET, True, "4 series", 0.1)
DOWN = TargetHealth(TARGET, False, "Connection refused", 0.1, False)
AWAY = replace(DOWN, detail="HTTP 500", is_known=False)
ITSELF = replace(AWAY, target=Target("prometheus", "http://127.0.0.1:1", "prometheus"))
OTHER = replace(UP, has_metrics=False)


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        ([UP] * 8, ""),
        ([DOWN] * 8, "Target db (mysql): no metrics: Connection refused."),
        ([OTHER] * 8, "Target db (mysql): no metrics: it responds, but has none of the metrics of kind mysql."),
        ([UP] * 5 + [DOWN] * 3, "Target db (mysql) was down for 3s of 8s: Connection refused."),
        ([UP] * 5 + [AWAY] * 3, "Target db (mysql) was unobserved for 3s of 8s: HTTP 500."),
        (
            [UP] * 5 + [DOWN] + [OTHER] * 2,
            "Target db (mysql): no metrics for 3s of 8s: it responds, but has none of the metrics of kind mysql.",
        ),
    ],
)
def test_the_problem_states_how_long_metrics_were_missing(seconds: list[TargetHealth], problem: str) -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    for each in seconds:
        coverage.count([each], 1.0)
    (view,) = coverage.views()
    assert view.problem == problem
    assert (view.target, view.kind) == ("db", "mysql")
    assert view.measured_s == seconds.count(UP)
    assert (view.down_s, view.without_metrics_s) == (seconds.count(DOWN), seconds.count(OTHER))
    assert view.not_seen_s == seconds.count(AWAY)


def test_only_lasting_gaps_and_their_ends_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    annotations: list[tuple[str, str]] = []
    coverage.attach(lambda kind, text: annotations.append((kind, text)))
    with caplog.at_level(logging.WARNING):
        for each in [DOWN] * 4 + [UP] + [DOWN] * 4 + [UP]:
            coverage.count([each], 1.0)
        assert not annotations
        for each in [DOWN] * 20 + [UP] + [OTHER] * 20:
            coverage.count([each], 1.0)
    texts = [
        "Target db (mysql): no metrics for 5s: Connection refused",
        "Target db (mysql): metrics available again after 20s",
        "Target db (mysql): no metrics for 5s: it responds, but has none of the metrics of kind mysql",
    ]
    assert annotations == [("target", text) for text in texts]
    assert [record.getMessage() for record in caplog.records] == [f"{text}." for text in texts]


def test_the_number_of_warnings_for_a_flapping_target_is_bounded() -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    annotations: list[str] = []
    coverage.attach(lambda kind, text: annotations.append(text))
    for each in ([DOWN] * 6 + [UP]) * 100:
        coverage.count([each], 1.0)
    assert len(annotations) == 2 * 20


def test_a_prometheus_without_targets_is_unobserved_only_while_it_does_not_respond() -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    for health in ([], [], [ITSELF], []) * 5:
        coverage.count(health, 1.0)
    (view,) = coverage.views()
    assert view.problem == "Target prometheus was unobserved for 5s of 20s: HTTP 500."


def test_an_outage_before_the_first_response_is_attributed_to_the_targets() -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    for health in [[ITSELF]] * 9 + [[UP]] * 10 + [[AWAY]] * 4:
        coverage.count(health, 1.0)
    (view,) = coverage.views()
    assert view.problem == "Target db (mysql) was unobserved for 13s of 23s: HTTP 500."


def test_a_prometheus_that_responded_without_targets_had_no_outage() -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    for health in [[]] * 3 + [[ITSELF]] * 2 + [[UP]] * 10:
        coverage.count(health, 1.0)
    (view,) = coverage.views()
    assert view.problem == "Target db (mysql) was unobserved for 2s of 12s: HTTP 500."


UNREAD = replace(DOWN, detail="not scraped yet", is_known=False)


@pytest.mark.parametrize(
    ("seconds", "problem", "measured_s"),
    [
        # A page that takes 2.5 s each time.
        ([(UNREAD, 1), (UNREAD, 2), (UP, 0.5), (UP, 1.5), (UP, 0)], "", 5),
        # One that never comes while the run lasts.
        ([(UNREAD, 1), (UNREAD, 2)], "Target db (mysql): no metrics: not scraped yet.", 0),
        # A silence is a gap from its begin.
        (
            [(UP, 0), (UP, 1), (UP, 2), (UP, 3), (DOWN, 0)],
            "Target db (mysql) was down for 4s of 5s: Connection refused.",
            1,
        ),
        ([(UNREAD, 1), (UNREAD, 2), (DOWN, 0)], "Target db (mysql): no metrics: Connection refused.", 0),
        # It is over when it began to answer.
        ([(DOWN, 0), (DOWN, 1), (DOWN, 2), (UP, 0)], "Target db (mysql) was down for 1s of 4s: Connection refused.", 3),
        # Nobody knows of what has no answer at the end.
        ([(UP, 0), (UP, 1), (UP, 2)], "", 1),
    ],
)
def test_pending_time_is_counted_by_the_response(
    seconds: list[tuple[TargetHealth, float]], problem: str, measured_s: float
) -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    for each, pending_s in seconds:
        coverage.count([replace(each, pending_s=pending_s)], 1.0)
    (view,) = coverage.views()
    assert (view.problem, view.measured_s) == (problem, measured_s)


class SourceOfAnswers(EmbeddedSource):
    """Gives each answer when `let` is set."""

    health_interval_s = 0.0

    def __init__(self, answers: Sequence[list[TargetHealth]]) -> None:
        super().__init__([])
        self._answers: Iterator[list[TargetHealth]] = iter(answers)
        self.health_interval_s = 0.0
        self.let = Event()

    def health(self) -> list[TargetHealth]:
        self.let.wait()
        self.let.clear()
        return next(self._answers)


@pytest.mark.parametrize(
    ("answers", "problem", "measured_s"),
    [
        ([[ITSELF], [ITSELF]], "Target prometheus: no metrics: HTTP 500.", 0),
        ([[UP], [AWAY]], "Target db (mysql) was unobserved for 3s of 6s: HTTP 500.", 3),
        ([[UP], [UP]], "", 6),
    ],
)
def test_the_time_of_a_pending_request_is_counted_when_it_completes(
    answers: list[list[TargetHealth]], problem: str, measured_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    source = SourceOfAnswers(answers)
    coverage = TargetCoverage(source)
    looking = gevent.spawn(coverage._poll_health)
    try:
        for _ in answers:
            gevent.sleep(0.001)
            for _ in range(3):
                now[0] += 1.0
                coverage.add_interval(1.0)
            source.let.set()
            gevent.sleep(0.001)
        # The next question has just been asked.
        coverage.add_interval(0.0)
        (view,) = coverage.views()
        assert (view.problem, view.measured_s) == (problem, measured_s)
    finally:
        looking.kill()
