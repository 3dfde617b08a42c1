"""The marks of the dashboards over ranges of all lengths, asked of a real Prometheus as Grafana does."""

import time
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.exposition import generate_latest

from dashboards import render
from obswarm.metrics import SnapshotCollector, SnapshotRegistry
from obswarm.record import Annotation
from tests.metrics.test_created import Run
from tests.support.prometheus import Prometheus

HOUR_S, DAY_S = 3600.0, 86_400.0
COLOURS = {
    "start": "green",
    "takeover": "orange",
    "stop": "blue",
    "stage": "purple",
    "guard": "red",
    "alert": "red",
    "release": "yellow",
}
NOW_S = time.time() - 60

# (seconds before now, scrape interval in seconds, seconds from one mark to the next)
RUNS = (
    (6.5 * DAY_S, 15.0, 400.0),
    (6.5 * DAY_S - 2500, 15.0, 5.0),
    (20 * HOUR_S, 5.0, 30.0),
    (5 * HOUR_S, 1.0, 8.0),
    (5 * HOUR_S - 60, 1.0, 1.3),
    (3500.0, 15.0, 20.0),
    (2800.0, 5.0, 1.7),
    (2000.0, 1.0, 20.0),
    (1800.0, 1.0, 0.4),
    (800.0, 5.0, 11.0),
    (40.0, 1.0, 3.1),
)
KINDS = ("start", "stage", "stage", "guard", "takeover", "alert", "release", "stage", "stop")

# Ranges, and the steps that Grafana's Prometheus data source takes for annotations: the range by the pixels of the window,
# rounded (pkg/promlib/models/query.go, public/app/features/annotations/executeAnnotationQuery.ts).
RANGES = [
    *((900.0, step_s) for step_s in (1, 2)),
    *((HOUR_S, step_s) for step_s in (1, 2, 5)),
    *((6 * HOUR_S, step_s) for step_s in (5, 10, 15, 20)),
    *((DAY_S, step_s) for step_s in (30, 60, 120)),
    *((7 * DAY_S, step_s) for step_s in (300, 600, 900)),
]


def history() -> tuple[str, list[tuple[float, str]]]:
    """What scrapes of these runs gave, all at one address, and (time, colour) of their marks."""
    marks: list[tuple[float, str]] = []
    samples: list[str] = []
    for number, (ago_s, interval_s, apart_s) in enumerate(RUNS):
        started_s = round(NOW_S - ago_s, 3)
        run, latest = Run(started_s, str(number)), SnapshotRegistry()
        scrape_s = started_s + 0.3
        for kind, at_s in ((kind, started_s + apart_s * each) for each, kind in enumerate(KINDS)):
            while scrape_s < at_s:
                samples += scraped(latest, scrape_s)
                scrape_s += interval_s
            latest.annotation(Annotation(at_s, kind, kind))
            latest.snapshot(run.snapshot(at_s))
            marks.append((at_s, COLOURS[kind]))
        # The end of a run is seen once.
        samples += scraped(latest, scrape_s)
    heading = "# TYPE obswarm_annotation_timestamp_seconds gauge\n"
    return heading + "\n".join(samples) + "\n# EOF\n", marks


def scraped(latest: SnapshotRegistry, at_s: float) -> list[str]:
    text = generate_latest(SnapshotCollector(latest, {"job": "obswarm", "instance": "here"})).decode()
    return [f"{line} {at_s:.3f}" for line in text.splitlines() if line.startswith("obswarm_annotation_timestamp")]


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[str, list[tuple[float, str]]]]:
    text, marks = history()
    with Prometheus(history=text) as prometheus:
        yield prometheus.url, marks


@pytest.mark.parametrize(("range_s", "step_s"), RANGES)
@pytest.mark.parametrize("offset_s", [0.0, 17.3])
def test_every_mark_of_a_range_is_seen_once(asked, range_s: float, step_s: float, offset_s: float) -> None:
    url, marks = asked
    end_s = NOW_S + offset_s
    document = render.dashboards()["obswarm-run"]
    found = [
        (round(at_s, 2), colour)
        for at_s, colour in render.marks(url, document, end_s - range_s, end_s, step_s)
        if end_s - range_s <= at_s <= end_s
    ]
    assert found == sorted((round(at_s, 2), colour) for at_s, colour in marks if end_s - range_s <= at_s <= end_s)
    assert found


@pytest.mark.parametrize("step_s", [1, 2, 5, 15])
def test_a_mark_is_one_point_at_steps_shorter_than_the_scrape_interval_too(asked, step_s: float) -> None:
    url, _ = asked
    end_s = NOW_S // 60 * 60
    points: list[float] = []
    for annotation in render.dashboards()["obswarm-run"]["annotations"]["list"]:
        expr = render.filled(annotation["target"]["expr"], {"__interval": f"{step_s}s"})
        for series in render.ask(url, expr, end_s - HOUR_S, end_s, step_s=step_s).series:
            points += [round(float(value) / 1000, 2) for _, value in series["values"]]
    assert len(points) == len(set(points)) > 3 * len(KINDS)


def test_all_dashboards_have_the_same_marks() -> None:
    documents = render.dashboards().values()
    assert len({str(document["annotations"]) for document in documents}) == 1
