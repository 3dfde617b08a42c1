"""What a run says of targets of which there was nothing to measure."""

import logging
from dataclasses import replace

import pytest

from obswarm.targets import EmbeddedSource, Target, TargetCoverage, TargetHealth

TARGET = Target("db", "http://127.0.0.1:1/metrics", "mysql")
UP = TargetHealth(TARGET, True, "4 series", 0.1)
DOWN = TargetHealth(TARGET, False, "Connection refused", 0.1, False)
OTHER = replace(UP, has_metrics=False)


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        ([UP] * 8, ""),
        ([DOWN] * 8, "Target db (mysql): nothing was measured: Connection refused."),
        ([OTHER] * 8, "Target db (mysql): nothing was measured: it answers, but has none of mysql's metrics."),
        ([UP] * 5 + [DOWN] * 3, "Target db (mysql) was down for 3s of 8s: Connection refused."),
        (
            [UP] * 5 + [DOWN] + [OTHER] * 2,
            "Target db (mysql): nothing was measured in 3s of 8s: it answers, but has none of mysql's metrics.",
        ),
    ],
)
def test_it_is_told_for_how_long_there_was_nothing(seconds: list[TargetHealth], problem: str) -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    for each in seconds:
        coverage.count([each], 1.0)
    (view,) = coverage.views()
    assert view.problem == problem
    assert (view.target, view.kind) == ("db", "mysql")
    assert view.measured_s == seconds.count(UP)
    assert (view.down_s, view.without_metrics_s) == (seconds.count(DOWN), seconds.count(OTHER))


def test_it_tells_only_of_what_lasts_and_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    marks: list[tuple[str, str]] = []
    coverage.annotate = lambda kind, text: marks.append((kind, text))
    with caplog.at_level(logging.WARNING):
        for each in [DOWN] * 4 + [UP] + [DOWN] * 4 + [UP]:
            coverage.count([each], 1.0)
        assert not marks
        for each in [DOWN] * 20 + [UP] + [OTHER] * 20:
            coverage.count([each], 1.0)
    texts = [
        "Target db (mysql): nothing has been measured for 5s: Connection refused",
        "Target db (mysql): measured again, after 20s without",
        "Target db (mysql): nothing has been measured for 5s: it answers, but has none of mysql's metrics",
    ]
    assert marks == [("target", text) for text in texts]
    assert [record.getMessage() for record in caplog.records] == [f"{text}." for text in texts]


def test_a_target_that_comes_and_goes_is_not_told_of_for_ever() -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    marks: list[str] = []
    coverage.annotate = lambda kind, text: marks.append(text)
    for each in ([DOWN] * 6 + [UP]) * 100:
        coverage.count([each], 1.0)
    assert len(marks) == 2 * 20


def test_a_prometheus_without_targets_was_away_only_while_it_did_not_answer() -> None:
    coverage = TargetCoverage(EmbeddedSource([TARGET]))
    itself = TargetHealth(Target("prometheus", "http://127.0.0.1:1", "prometheus"), False, "HTTP 500", None, False)
    for health in ([], [], [itself], []) * 5:
        coverage.count(health, 1.0)
    (view,) = coverage.views()
    assert view.problem == "Target prometheus was down for 5s of 20s: HTTP 500."
